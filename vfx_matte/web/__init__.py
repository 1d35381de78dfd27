"""Serves the studio's page, and tracking to labelling tools, by HTTP on this machine."""
