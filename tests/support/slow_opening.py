"""A studio whose frames are counted for as long as a test wants."""

from __future__ import annotations

import threading
from pathlib import Path

from support.studios import open_studio
from vfx_matte.pipeline.studio import Opening, Studio


class SlowOpening(Opening):
    """Opens a clip when it is told to, or fails."""

    def __init__(self, clip: Path, folder: Path) -> None:
        self._may_open = threading.Event()
        self.is_awaited = threading.Event()
        """Somebody waits for the studio."""
        self._error: Exception | None = None

        def open_now() -> Studio:
            assert self._may_open.wait(60)
            if self._error is not None:
                raise self._error
            return open_studio(clip, folder)

        super().__init__(clip, open_now)

    def finish(self, error: Exception | None = None) -> None:
        """All frames are counted, or something went wrong."""
        self._error = error
        self._may_open.set()

    def wait(self) -> Studio:
        self.is_awaited.set()
        return super().wait()
