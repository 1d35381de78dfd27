"""Timelines as editing programs exchange them.

Takes a simple edit, gives the text of files they open; decodes nothing.
"""
