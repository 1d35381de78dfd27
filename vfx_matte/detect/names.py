"""What the salient network is called, for those who need not open it."""

from __future__ import annotations

NETWORK_TITLE = "U²-Netp"
"""As people write it."""

NETWORK_FILE = "u2netp.onnx"
"""Its name in the model folder and in the table of weights."""
