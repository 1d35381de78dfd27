"""Checks results: findings, suggestions, key tests, accuracy."""
