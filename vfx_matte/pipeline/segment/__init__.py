"""Propagates reference masks to every frame of a clip."""
