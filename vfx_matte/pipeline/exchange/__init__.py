"""Masks for other programs, and masks of other programs."""
