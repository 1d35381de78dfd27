"""Draws for people: contact sheets and pages for a browser."""
