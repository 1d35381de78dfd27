"""Reads frames: of video files, image sequences, parts and conformed clips."""
