"""A studio on a clip, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.studio_server import Client, serving
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.studio import Studio


def open_studio(
    clip: Path, folder: Path, *, propagator: str = "builtin", reporter: Reporter | None = None
) -> Studio:
    """Open a clip, with its workspace and an empty model folder in `folder`; who opens it closes
    it.
    """
    told = SilentReporter() if reporter is None else reporter
    return Studio.open(
        open_source(clip, reporter=told),
        workspace=folder / "workspace",
        model=folder / "model",
        propagator=PropagatorOptions(name=propagator),
        fetch=False,
        reporter=told,
    )


@contextmanager
def served_studio(
    clip: Path, folder: Path, *, propagator: str = "builtin", reporter: Reporter | None = None
) -> Iterator[Client]:
    """Open a clip as `open_studio` does, serve it, and close it."""
    studio = open_studio(clip, folder, propagator=propagator, reporter=reporter)
    try:
        with serving(studio) as client:
            yield client
    finally:
        studio.close()
