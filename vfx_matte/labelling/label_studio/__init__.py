"""A machine-learning backend for Label Studio.

See https://labelstud.io/guide/ml_create for what is asked of one.
"""

from __future__ import annotations

from vfx_matte.labelling.label_studio.backend import LabelStudioBackend, LabelStudioOptions
from vfx_matte.labelling.label_studio.client import KEY_VARIABLE, LabelStudioClient

__all__ = ["KEY_VARIABLE", "LabelStudioBackend", "LabelStudioClient", "LabelStudioOptions"]
