"""Scenes whose alpha is known exactly, for benchmarks of edges."""
