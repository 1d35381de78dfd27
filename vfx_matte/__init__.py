"""vfx-matte: cut anything out of a video, and stay in sync to the frame."""

from __future__ import annotations

__version__ = "0.1.0"
