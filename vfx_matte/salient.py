"""A network that finds what stands out in a picture. Takes a picture, gives a probability for every pixel.

U²-Netp (Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand: "U²-Net: Going deeper with nested U-structure for salient object
detection", Pattern Recognition 106, 2020), trained on DUTS-TR, read by OpenCV's `dnn`. It finds all that is salient, whatever
that is: a car and its smoke. It is a witness beside others, never the judge.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.errors import WeightsError
from vfx_matte.masks import Image

NETWORK_FILE = "u2netp.onnx"
"""Its name in the model folder and in the table of weights."""

TRAINED_SIZE_PX = 320
"""Side of the square that the network was trained at; it takes others, 192 to 256 cost a half to two thirds of the time."""

_INPUT = "input.1"
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


class SalientNetwork:
    """The network, read once.

    Args:
        path: the ONNX file.

    Raises:
        WeightsError: the file is missing or no network of this kind.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise WeightsError(f"there is no network at {path}", hint="fetch it, or work without it")
        try:
            # from bytes, not from a path: OpenCV cannot open every path with letters beyond ASCII
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
            names = self._net.getUnconnectedOutLayersNames()
            layers = len(self._net.getLayerNames())
        except (OSError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or "OpenCV cannot read it as an ONNX network"
            raise WeightsError(f"{path} cannot be used: {reason}", hint="fetch it again") from error
        # the first output is the fused map; the others are the side outputs that training used
        self._output = names[0]
        self.description = f"an ONNX network of {layers} layers, read by OpenCV"

    def probability(self, image: Image, *, size: int = TRAINED_SIZE_PX) -> npt.NDArray[np.float32]:
        """How salient every pixel is.

        Args:
            image: uint8 (H, W, 3) R'G'B', at least 1×1.
            size: side of the square that the picture is scaled to, a multiple of 32, px.

        Returns:
            float32 (H, W), 0 … 1, as the network says it; its largest value is below 1 where nothing stands out.

        Raises:
            WeightsError: the network does not give such a map.
        """
        height, width = image.shape[:2]
        shrinks = height * width > size * size
        scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        tensor = scaled.astype(np.float32)
        tensor = (tensor / max(float(tensor.max()), 1.0) - _MEAN) / _DEVIATION
        try:
            self._net.setInput(np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]), _INPUT)
            output = np.asarray(self._net.forward(self._output))
        except cv2.error as error:
            raise WeightsError(
                f"the network cannot be run: {error.err}", hint=f"is it {NETWORK_FILE}? Fetch it again"
            ) from error
        if output.ndim != 4 or output.shape[:2] != (1, 1):
            raise WeightsError(f"the network gives an array of shape {output.shape}, expected 1×1×H×W", hint="fetch it again")
        found = cv2.resize(output[0, 0], (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.clip(found, 0, 1), np.float32)


def stretched(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same map with its least value at 0 and its largest at 1, as the authors show it; a flat one becomes 0."""
    low, high = float(probability.min()), float(probability.max())
    return np.asarray((probability - low) / max(high - low, 1e-6), np.float32)
