"""The two liveness networks: bona fide or attack presentation."""
