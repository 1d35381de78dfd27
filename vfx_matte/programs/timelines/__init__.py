"""Writes an edit as the timelines and scripts that editing programs open; decodes nothing."""
