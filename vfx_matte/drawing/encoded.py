"""Pictures as the bytes of JPEG and PNG files, for pages."""

from __future__ import annotations

import cv2
import numpy as np

from vfx_matte.masks import Image

# artefacts are not seen at 100 %, in a third of the bytes of 95
_JPEG_QUALITY = 85
# 1 costs a tenth more bytes than 6 on crops of 1080p, in a third of the time
_PNG_LEVEL = 1


def jpeg(image: Image, *, width: int | None = None) -> bytes:
    """Encode a picture for looking at.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        width: of the result, in pixels; None or more than W is W.
    """
    if width is not None and width < image.shape[1]:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        # means of areas: fine patterns do not flicker while the clip plays
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return _encoded(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)


def png(image: Image) -> bytes:
    """Encode a picture, uint8 (H, W, 3) R'G'B', without loss."""
    return _encoded(image, ".png", cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL)


def smaller_png(data: bytes, width: int) -> bytes:
    """A PNG file of 8 bits at another width, or as it is when it is no wider."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None or image.shape[1] <= width:
        return data
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return png(np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)))


def _encoded(image: Image, kind: str, option: int, value: int) -> bytes:
    # OpenCV has its colours the other way round
    _, data = cv2.imencode(kind, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [option, value])
    return data.tobytes()
