"""Compiled forms of what takes the time of edges from the picture, see `compiling`."""

from vfx_matte.compiling import usable

__all__ = ["usable"]
