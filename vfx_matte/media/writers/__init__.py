"""Writes frames: video files, image sequences and EXR files."""
