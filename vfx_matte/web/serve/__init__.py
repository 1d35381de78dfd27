"""Serves tracking to labelling tools: an interface of our own, and that of X-AnyLabeling's remote
server.
"""
