"""The version of vfx-matte."""

__version__ = "0.1.0"
