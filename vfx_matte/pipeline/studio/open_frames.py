"""Frames that are open for clicks, strokes and boxes: the last few, each with what was computed."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path

from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.first_mask.marking import Marking, PictureOpener
from vfx_matte.pipeline.progress import Reporter

_KEPT = 3  # a 4K one takes some 300 MB


class OpenFrames:
    """Opens frames for marks; the last ones stay open. Safe to call from any thread.

    Args:
        clip: whose frames they are.
        method: of first masks, a name of `first_mask.methods`.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched.
        reporter: receives a notice where it cannot be used.
    """

    def __init__(
        self, clip: SourceClip, *, method: str, model: Path, fetch: bool, reporter: Reporter
    ) -> None:
        self._clip, self._model, self._fetch, self._reporter = clip, model, fetch, reporter
        # computing is one at a time: whoever comes second finds the first one's work
        self.lock = threading.RLock()
        self.use(method)

    def use(self, method: str) -> None:
        """Open frames with another method from now on; what was computed is forgotten."""
        with self.lock:
            # networks are opened with the first frame: a page that never clicks needs none
            self._opener = PictureOpener(
                method=method, model=self._model, fetch=self._fetch, reporter=self._reporter
            )
            self._open: OrderedDict[int, Marking] = OrderedDict()

    def frame(self, index: int) -> Marking:
        """A frame, opened now or before. Hold `lock` while it is used.

        Raises:
            UsageError: what the method needs is not there.
            WeightsError: its network is not what it should be.
            MediaError: it cannot be read.
        """
        with self.lock:
            if index not in self._open:
                # a picture of another file under this name would be marked as this clip's
                self._clip.reader.check_unchanged()
                self._open[index] = self._opener.open(self._clip.reader.frame(index).image)
                while len(self._open) > _KEPT:
                    self._open.popitem(last=False)
            self._open.move_to_end(index)
            return self._open[index]

    def prepare(self, index: int) -> None:
        """Compute, in a thread, what every answer on a frame needs."""

        def work() -> None:
            # what goes wrong here goes wrong once more with the click, where somebody hears it
            with self.lock, contextlib.suppress(Exception):
                self.frame(index).method.prepare()

        threading.Thread(target=work, name="vfx-matte open frame", daemon=True).start()
