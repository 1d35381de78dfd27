"""Benchmarks, fits and pictures for the docs. Not part of the shipped package."""
