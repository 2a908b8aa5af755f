"""Faces and their five landmarks in the reduced image."""
