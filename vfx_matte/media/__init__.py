"""Clips in and out: the only room that speaks FFmpeg. Paths in, frames with exact time out, and
back; no pixel is edited.
"""

from __future__ import annotations
