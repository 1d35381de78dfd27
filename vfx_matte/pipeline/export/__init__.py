"""Hands a clip over to editing programs: constant rate, packages, timelines."""
