"""What the delivered system gets right and wrong: networks, built library and teachers on labelled images."""
