"""Finds what stands out in a picture, by a salient network.

U²-Netp (Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand: "U²-Net: Going deeper with nested
U-structure for salient object detection", Pattern Recognition 106, 2020), trained on DUTS-TR, read
by OpenCV's `dnn`. It finds all that is salient, whatever that is: a car and its smoke. So its maps
are combined with other evidence wherever they are used.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.detect.names import NETWORK_FILE
from vfx_matte.errors import WeightsError
from vfx_matte.masks import Image

TRAINED_SIZE_PX = 320
"""Side of the square that the network was trained at; it takes others, 192 to 256 cost a half to
two thirds of the time.
"""

Features = npt.NDArray[np.float32]
"""float32 (channels, H, W)."""

_INPUT = "input.1"
# names in the file: the last layers of the decoder's stages, from the second-finest on, and the
# side output of the first of them
_FEATURE_LAYERS = ("onnx_node!Add_789", "onnx_node!Add_659", "onnx_node!Add_554")
_SIDE_OUTPUT = "onnx_node!Conv_946"
# the last layers of the second and third stage of the encoder, and of the decoder's fifth
_DEEPER_LAYERS = ("onnx_node!Add_245", "onnx_node!Add_331", "onnx_node!Add_474")
# beyond, float32 has no other probability than 0 and 1
_MOST_ODDS = 30.0
# of ImageNet's colours, which the network was trained with
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


class SalientNetwork:
    """The network of one file.

    Args:
        path: the ONNX file.

    Raises:
        WeightsError: the file is missing, or OpenCV cannot read it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise WeightsError(
                f"there is no network at {path}", hint="fetch it, or work without it"
            )
        try:
            self._net = _read(path)
            names = self._net.getUnconnectedOutLayersNames()
        except (OSError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or "OpenCV cannot read it as an ONNX network"
            raise WeightsError(f"{path} cannot be used: {reason}", hint="fetch it again") from error
        # the first output is the fused map; the others are the side outputs that training used
        self._output = names[0]
        self.description = "an ONNX network, read by OpenCV"
        self.layered = all(
            self._net.getLayerId(name) >= 0 for name in (*_FEATURE_LAYERS, *_DEEPER_LAYERS)
        )
        """Whether `describe` gives layers: whether the file is U²-Netp."""

    def probability(self, image: Image, *, size: int = TRAINED_SIZE_PX) -> npt.NDArray[np.float32]:
        """How salient every pixel is.

        Args:
            image: uint8 (H, W, 3) R'G'B', at least 1×1.
            size: side of the square that the picture is scaled to, a multiple of 32, px.

        Returns:
            float32 (H, W), 0 … 1, the network's output as it is: its largest value is below 1
            where nothing stands out.

        Raises:
            WeightsError: the network does not give such a map.
        """
        (found,) = self._forward(image, size, [self._output])
        return _at_picture_size(_map(found), image)

    def rough(self, image: Image, *, size: int = TRAINED_SIZE_PX) -> npt.NDArray[np.float32]:
        """Nearly the same map, in two fifths of the time: the side output of the decoder's
        second-finest stage.

        Each decoder stage was trained with a side output of its own. The finest stage, half of the
        network's work, is not computed. A network without such a stage gives its `probability`.

        Args:
            image: as for `probability`.
            size: as for `probability`.

        Returns:
            float32 (H, W), 0 … 1.

        Raises:
            WeightsError: the network cannot be run.
        """
        if self._net.getLayerId(_FEATURE_LAYERS[0]) < 0:
            return self.probability(image, size=size)
        (stage,) = self._forward(image, size, [_FEATURE_LAYERS[0]])
        return _at_picture_size(self._side_output(stage, size), image)

    def describe(
        self, image: Image, *, size: int = TRAINED_SIZE_PX, deeper: bool = False
    ) -> tuple[npt.NDArray[np.float32], list[Features]]:
        """The rough map, and the features that it is computed from.

        Args:
            image: as for `probability`.
            size: as for `probability`.
            deeper: three more layers, which are computed anyway: those of two early stages of the
                encoder, S = size/2 and size/4, which know edges and colours, and of one more stage
                of the decoder, S = size/16.

        Returns:
            The map as `rough` gives it, float32 (H, W), and the last layers of three stages of the
            decoder, finest first: float32 (64, S, S) with S = size/2, size/4, size/8. Pixels that
            look alike to the network have vectors that are near each other.

        Raises:
            WeightsError: the file is another network, without such layers.
        """
        layers = self._forward(image, size, [*_FEATURE_LAYERS, *(_DEEPER_LAYERS if deeper else ())])
        return _at_picture_size(self._side_output(layers[0], size), image), [
            layer[0] for layer in layers
        ]

    def _side_output(self, stage: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
        """The map of the second-finest stage, (1, 64, S/2, S/2), by itself: (S, S), 0 … 1."""
        # a convolution with a 3×3 kernel per channel, then enlarged: as the network would
        weights, offset = (self._net.getParam(_SIDE_OUTPUT, which) for which in (0, 1))
        small = np.full(stage.shape[2:], float(offset.ravel()[0]), np.float32)
        for channel, kernel in zip(stage[0], weights[0], strict=True):
            small += cv2.filter2D(channel, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        odds = np.clip(
            cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), -_MOST_ODDS, _MOST_ODDS
        )
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def _forward(self, image: Image, size: int, names: list[str]) -> list[npt.NDArray[np.float32]]:
        """The named layers' outputs, (1, C, …, …)."""
        shrinks = image.shape[0] * image.shape[1] > size * size
        scaled = cv2.resize(
            image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        # as the authors' code prepares pictures: the brightest value becomes 1
        tensor = scaled.astype(np.float32)
        tensor = (tensor / max(float(tensor.max()), 1.0) - _MEAN) / _DEVIATION
        try:
            self._net.setInput(np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]), _INPUT)
            outputs = [np.asarray(output, np.float32) for output in self._net.forward(names)]
        except cv2.error as error:
            raise WeightsError(
                f"the network cannot be run: {error.err}",
                hint=f"is it {NETWORK_FILE}? Fetch it again",
            ) from error
        return outputs


def _read(path: Path) -> cv2.dnn.Net:
    """The network of a file. Raises OSError or cv2.error."""
    # OpenCV 5 has a second engine, which does not give the layers inside, and its reader of bytes
    # takes that one always; OpenCV 4 has only the first
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    if engine is None:
        return cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
    if str(path).isascii():
        return cv2.dnn.readNetFromONNX(str(path), engine)
    with tempfile.TemporaryDirectory() as folder:
        # OpenCV does not open every path with letters beyond ASCII
        copy = Path(folder) / NETWORK_FILE
        shutil.copyfile(path, copy)
        return cv2.dnn.readNetFromONNX(str(copy), engine)


def _map(output: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The map (S, S) that an output holds."""
    if output.ndim != 4 or output.shape[:2] != (1, 1):
        raise WeightsError(
            f"the network gives an array of shape {output.shape}, expected 1×1×H×W",
            hint="fetch it again",
        )
    return np.asarray(output[0, 0], np.float32)


def _at_picture_size(found: npt.NDArray[np.float32], image: Image) -> npt.NDArray[np.float32]:
    """A map of the network, (S, S), at the picture's size."""
    height, width = image.shape[:2]
    return np.asarray(
        np.clip(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1),
        np.float32,
    )


def stretched(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The map with its least value at 0 and its largest at 1, as the authors show it.

    Args:
        probability: float32 (H, W).

    Returns:
        float32 (H, W); 0 everywhere for a flat map.
    """
    low, high = float(probability.min()), float(probability.max())
    return np.asarray((probability - low) / max(high - low, 1e-6), np.float32)
