"""Reads the masks that a user gives: their colours, object ids and frames."""
