"""The options of XMem's memory; no PyTorch is needed for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class XMemMemory:
    """What XMem remembers; the defaults are the published ones.

    Frames are counted in steps of the walk, elements in positions at 1/16 of the working size.

    Raises:
        ValueError: a number is out of its range.
    """

    mem_every: int = 5
    """How many frames lie between two that are put into working memory."""

    deep_update_every: int = -1
    """Frames between deep updates of the hidden state; -1 makes one on every memory frame, where
    the ordinary update then is left out.
    """

    top_k: int = 30
    """Elements that are read per query position."""

    long_term: bool = True
    """Whether frames that leave the working memory are condensed; without, the working memory keeps
    every memory frame and grows with the clip.
    """

    count_usage: bool | None = None
    """Whether reads of the long-term memory are counted, so that it forgets what is used least;
    False forgets the oldest; None decides (it counts: a walk's length is not known before).
    """

    num_prototypes: int = 128
    """Elements that are made of the frames that leave."""

    min_mid_term_frames: int = 5
    """Frames that stay in working memory when the others leave."""

    max_mid_term_frames: int = 10
    """The number of frames at which they leave."""

    max_long_term_elements: int = 10_000
    """Bound of the long-term memory."""

    def __post_init__(self) -> None:
        for name in ("mem_every", "top_k", "num_prototypes", "min_mid_term_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.deep_update_every < -1:
            raise ValueError(
                f"deep_update_every is {self.deep_update_every}, expected -1 or a number of frames"
            )
        if self.max_mid_term_frames <= self.min_mid_term_frames:
            raise ValueError(
                f"max_mid_term_frames is {self.max_mid_term_frames}, expected more than"
                f" min_mid_term_frames ({self.min_mid_term_frames})"
            )
        if self.max_long_term_elements < self.num_prototypes:
            raise ValueError(
                f"max_long_term_elements is {self.max_long_term_elements}, expected at least"
                f" num_prototypes ({self.num_prototypes})"
            )
