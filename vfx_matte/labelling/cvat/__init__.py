r"""CVAT's auto-annotation functions: tracking by mask, clicks and boxes, and detection.

    cvat-cli … function create-native "vfx-matte" \
        --function-module vfx_matte.labelling.cvat -p kind=str:tracker
    cvat-cli … function run-agent ID \
        --function-module vfx_matte.labelling.cvat -p kind=str:tracker

`cvat-cli` calls `create` with the parameters (`-p`). It connects to the server by itself; nothing
here listens.
"""

from __future__ import annotations

from vfx_matte.labelling.cvat.creating import create

__all__ = ["create"]
