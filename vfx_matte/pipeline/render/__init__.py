"""Renders a segmented clip: green screen, alpha, mask video, overlay."""
