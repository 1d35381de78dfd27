"""Draws results for people: contact sheets and web pages."""
