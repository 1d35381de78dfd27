"""Finds objects in single pictures, for programs that show them one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.detect.base import Detection
from vfx_matte.detect.regions import without_holes
from vfx_matte.masks import Image
from vfx_matte.pipeline.detect.opening import opened_detector, wanted_classes
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.settings.options import DetectSettings, RenderSettings


class PictureDetector:
    """A detector that is open, with what counts as an object.

    Args:
        settings: which detector, and what counts; `every`, `white` and `instances` are for clips.
        model: the folder of network weights.
        device: what the detector runs on.
        fetch: whether a small network may be fetched on first use.
        reporter: is told which detector it is.

    Raises:
        UsageError: there is no such detector or class, or a package is missing.
        WeightsError: the detector's weights are missing or of another network.
        DeviceError: the device cannot be used.
    """

    def __init__(
        self,
        settings: DetectSettings,
        *,
        model: Path,
        device: str = RenderSettings().device,
        fetch: bool = True,
        reporter: Reporter,
    ) -> None:
        entry, self._detector = opened_detector(
            settings, model=model, device=device, fetch=fetch, reporter=reporter
        )
        self._settings = settings
        self._wanted = wanted_classes(settings.classes, entry, self._detector)

    @property
    def classes(self) -> tuple[str, ...]:
        """What can be found: the wanted classes, or all; "subject" of a detector without any."""
        return self._wanted or self._detector.classes

    def detect(self, image: Image, *, threshold: float | None = None) -> list[Detection]:
        """Find objects.

        Args:
            image: uint8 (H, W, 3) R'G'B'.
            threshold: how sure the detector must be, 0 … 1; None = as the settings say.

        Returns:
            The surest first, as many as the settings allow.
        """
        least = self._settings.threshold if threshold is None else threshold
        with one_blas_thread():
            found = self._detector.detect(image)
        wanted = [one for one in found if one.score >= least and one.class_name in self.classes]
        wanted = wanted[: self._settings.max_objects or None]
        if self._settings.clean:
            wanted = [replace(one, mask=without_holes(one.mask)) for one in wanted]
        return wanted
