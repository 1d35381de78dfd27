"""Frames that are open for clicks, strokes and boxes: the last few, each with what was computed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.first_mask.marking import Marking, marking_of
from vfx_matte.pipeline.first_mask.salient_network import salient_network
from vfx_matte.pipeline.progress import Reporter

_KEPT = 3  # a 4K one takes some 300 MB


class OpenFrames:
    """Opens frames for marks; the last ones stay open. Safe to call from any thread.

    Args:
        clip: whose frames they are.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched.
        reporter: receives a notice where it cannot be used.
    """

    def __init__(self, clip: SourceClip, *, model: Path, fetch: bool, reporter: Reporter) -> None:
        self._clip, self._model, self._fetch, self._reporter = clip, model, fetch, reporter
        # computing is one at a time: whoever comes second finds the first one's work
        self.lock = threading.RLock()
        self._open: OrderedDict[int, Marking] = OrderedDict()
        self._has_network = False
        self._network: SalientNetwork | None = None

    def frame(self, index: int) -> Marking:
        """A frame, opened now or before. Hold `lock` while it is used.

        Raises:
            MediaError: it cannot be read.
        """
        with self.lock:
            # the network is opened with the first frame: a page that never clicks needs none
            if index not in self._open:
                if not self._has_network:
                    self._network = salient_network(
                        self._model, reporter=self._reporter, fetch=self._fetch
                    )
                    self._has_network = True
                opened = marking_of(self._clip.reader.frame(index).image, self._network)
                self._open[index] = opened
                while len(self._open) > _KEPT:
                    self._open.popitem(last=False)
            self._open.move_to_end(index)
            return self._open[index]

    def prepare(self, index: int) -> None:
        """Compute, in a thread, what every answer on a frame needs."""

        def work() -> None:
            with self.lock:
                self.frame(index).method.prepare()

        threading.Thread(target=work, name="vfx-matte open frame", daemon=True).start()
