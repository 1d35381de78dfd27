"""Doors for labelling tools: masks and tracks for programs in which people annotate."""
