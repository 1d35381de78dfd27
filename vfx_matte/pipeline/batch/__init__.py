"""Runs commands on many clips, several at once, each in a process of its own."""
