"""Clips in and out: frames with exact time, read and written.

This is the only room that speaks FFmpeg, and it edits no pixel.
"""

from __future__ import annotations
