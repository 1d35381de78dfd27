"""Serves the studio's page and its HTTP interface on this machine."""
