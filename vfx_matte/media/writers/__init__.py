"""Writes files: videos, pictures, EXR layers, and what is noted in them."""
