"""Looks at this machine: what is installed, what is used, and how fast it is."""

from __future__ import annotations

from vfx_matte.pipeline.doctor.diagnosis import Diagnosis, examine

__all__ = ["Diagnosis", "examine"]
