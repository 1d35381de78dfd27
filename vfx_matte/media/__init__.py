"""The only room that speaks FFmpeg.

Takes paths, gives frames with exact time and writes them back; never edits a pixel.
"""

from __future__ import annotations
