"""Compiled forms of what takes the time of the built-in propagator, see `compiling`."""

from vfx_matte.compiling import usable

__all__ = ["usable"]
