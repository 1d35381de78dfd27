"""What can be chosen about XMem's memory.

Takes numbers, checks them; needs no PyTorch, so any program may name it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class XMemMemory:
    """What XMem remembers.

    Frames are counted in steps of the walk, elements in positions at 1/16 of the working size.

    mem_every: every how many frames one is put into working memory. deep_update_every: frames
    between deep updates of the hidden state; -1 makes one on every memory frame, where the ordinary
    update then is left out. top_k: elements read per query position. long_term: whether frames that
    leave the working memory are condensed; without it the working memory keeps every memory frame
    and grows with the clip. count_usage: whether reads of the long-term memory are counted, so that
    it forgets what is used least; False forgets the oldest; None decides (it counts: a walk's
    length is not known before).
    num_prototypes: elements made of the frames that leave. min_mid_term_frames,
    max_mid_term_frames: frames that stay in working memory, and the number at which the others
    leave. max_long_term_elements: bound of the long-term memory.
    """

    mem_every: int = 5
    deep_update_every: int = -1
    top_k: int = 30
    long_term: bool = True
    count_usage: bool | None = None
    num_prototypes: int = 128
    min_mid_term_frames: int = 5
    max_mid_term_frames: int = 10
    max_long_term_elements: int = 10_000

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
