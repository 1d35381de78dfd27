"""Mixes pixels, and keys them as an editing program would."""
