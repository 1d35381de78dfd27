"""Draws the pictures of the docs."""
