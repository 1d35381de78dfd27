"""Finds subjects without any mask."""
