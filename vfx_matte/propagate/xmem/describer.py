"""Compares frames by XMem's keys, on its device."""

from __future__ import annotations

import torch

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.xmem.frame_keys import dissimilarity
from vfx_matte.propagate.xmem.network import Weights
from vfx_matte.propagate.xmem.propagator import FrameKeys, XMemPropagator

# keys do not depend on how many objects there are, so any mask will do
_ANY_OBJECTS = 255


class XMemDescriber:
    """Describes frames by the keys of XMem's network, as XMem++ does; see `suggest.Describer`.

    A description holds P = (h / 16)·(w / 16) positions of 2·CK + 2 float32 each, with CK = 64 in
    the published weights: at a short side of 240 pixels and 16:9 P is 405, which is 0.2 MB; at 480
    it is 1620, 0.8 MB. A distance costs two P × P similarities, 16 times as much at 480 as at 240.
    """

    def __init__(self, *, weights: Weights, size: int = 240, device: str = "auto") -> None:
        """Load the network. Options and errors are those of `XMemPropagator`."""
        self._network = XMemPropagator(
            num_objects=_ANY_OBJECTS, weights=weights, size=size, device=device
        )
        # keys stay on the device: a GPU has room for more of them, and compares them faster
        on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
        self.usual_candidates = 1000 if on_gpu else 200

    def describe(self, image: Image, mask: Mask) -> FrameKeys:
        """Describe a frame; see `suggest.Describer.describe`."""
        return self._network.frame_keys(image, mask)

    def distance(self, frame: FrameKeys, known: FrameKeys, *, alpha: float) -> float:
        """D, XMem++ section 3.3."""
        with torch.inference_mode():
            return dissimilarity(frame.composite(alpha), known.composite(alpha))
