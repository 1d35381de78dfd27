"""First masks by SAM 2 or EdgeTAM, networks that were trained to answer clicks and boxes.

The picture is encoded once; every answer is a small decoder's, from all clicks and the box at once,
and from the mask so far. What the network makes of them is not taken on trust: a further click
changes the mask where it is and nowhere else, and a mark that the network does not follow is
corrected as by the other methods. Strokes are such marks: the network gets one point of each, as it
was trained on single clicks, and many beside each other mislead it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import WeightsError
from vfx_matte.first_mask.base import UNSURE, BaseFirstMask, State
from vfx_matte.first_mask.corrections import MOST_ODDS, LogOdds
from vfx_matte.first_mask.crop_maps import Crop, Region, touching_points
from vfx_matte.first_mask.marks import Answer, Box, Click, Marks, Probability
from vfx_matte.masks import Image
from vfx_matte.pretrained import computing
from vfx_matte.segment_anything import OpenNetwork
from vfx_matte.wording import option

# a mask so far is shown to the network as logits of so much, about what its own are
_SHOWN_ODDS = 10.0
# more points than that say the same again, and cost time
_MOST_POINTS = 32


class SamFirstMask(BaseFirstMask):
    """First masks of one picture by SAM 2 or EdgeTAM.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: SAM 2 or EdgeTAM, for pictures.
        salient: the salient network, which finds what stands out without any mark; None where it is
            not there.
    """

    def __init__(self, image: Image, network: OpenNetwork, salient: SalientNetwork | None) -> None:
        super().__init__(image)
        self._network, self._salient = network, salient
        self._embeddings: list[Any] | None = None
        self._score = UNSURE
        self._points: list[Click] = []

    def subjects(self) -> list[Answer]:
        """What stands out, by the salient network; see `FirstMask.subjects`."""
        if self._salient is None:
            return []
        from vfx_matte.first_mask.learned import LearnedFirstMask

        return LearnedFirstMask(self._full, self._salient).subjects()

    def prepare(self) -> None:
        """Encode the picture, which takes nearly all of the time; see `FirstMask.prepare`."""
        super().prepare()
        self._encoded()

    def answer(self, marks: Marks, previous: Probability | None = None) -> Answer:
        """The mask of what is marked; see `FirstMask.answer`."""
        # one point of a stroke, its middle; clicks have the last word
        middles = [
            Click(*stroke.points[len(stroke.points) // 2], stroke.is_object)
            for stroke in marks.strokes
            if stroke.points
        ]
        self._points = [*middles, *marks.clicks][-_MOST_POINTS:]
        return super().answer(marks, previous)

    def _begin(
        self, box: Box | None, clicks: Sequence[Click], previous: Probability | None
    ) -> tuple[State, Sequence[Click]]:
        """The network's answer to all marks, and those that it does not follow."""
        # 1. what the network makes of all marks, and of the mask that they correct
        before = None if previous is None else self._shrunk(previous)
        if before is not None and not (before > 0.5).any():
            # refuses what has no object mark either; otherwise it is as if there was none
            self._from_previous(before, clicks)
            before = None
        odds, self._score = self._predict(box, self._points, before)
        # 2. a mask that was there changes where marks are; otherwise it is the network's
        if before is not None:
            kept = self._from_previous(before, clicks)
            state = replace(kept, mask=self._changed_at(kept.mask, odds > 0, clicks))
            sure = np.where(state.mask, np.maximum(odds, 0.1), np.minimum(odds, -0.1))
            odds = np.where(state.mask == kept.mask, kept.odds, sure).astype(np.float32)
            state = replace(state, odds=odds, corrected=odds)
        else:
            within = (
                None
                if box is None
                else Crop.around(self._scaled_box(box), 0, width=self._width, height=self._height)
            )
            state = self._state_of(odds, [], within=within)
        unmet = [one for one in clicks if state.mask[one.y, one.x] != one.is_object]
        return state, unmet

    def _from_box(self, box: Box) -> State:
        """The object in a box; `_begin` asks the network for marks of all kinds at once."""
        return self._begin(box, (), None)[0]

    def _from_click(self, first: Click) -> State:
        """The object at the first object mark; as `_from_box`."""
        return self._begin(None, (first,), None)[0]

    def _confidence_of(self, state: State) -> tuple[float, str]:  # noqa: ARG002  the network has its own
        """The overlap with the true mask that the network expects of its answer."""
        return self._score, ""

    def _changed_at(self, before: Region, after: Region, clicks: Sequence[Click]) -> Region:
        """The mask before, with those connected changes that a mark lies on and asks for."""
        mask = before.copy()
        for is_object in (True, False):
            changed = (after & ~before) if is_object else (before & ~after)
            points = [(one.x, one.y) for one in clicks if one.is_object == is_object]
            mask[touching_points(changed, points)] = is_object
        return mask

    def _encoded(self) -> list[Any]:
        """The picture's features, computed once."""
        if self._embeddings is None:
            with self._computing():
                self._embeddings = list(
                    self._network.network.get_image_embeddings(self._network.pixels(self._full))
                )
        return self._embeddings

    def _predict(
        self, box: Box | None, points: Sequence[Click], before: Probability | None
    ) -> tuple[LogOdds, float]:
        """What the network says.

        Args:
            box: in pixels of the picture.
            points: as `box`.
            before: the mask so far, at the working size; a box has done its part then.

        Returns:
            Log odds at the working size, and the overlap with the true mask that it expects.
        """
        import torch

        features, place = self._encoded(), self._network.device
        height, width = self._full.shape[:2]
        across, down = self._network.size / width, self._network.size / height
        prompts: dict[str, Any] = {}
        # 1. as the library's processor scales them: (picture, object, point, 2)
        if points:
            places = [(one.x * across, one.y * down) for one in points]
            prompts["input_points"] = torch.tensor([[places]], dtype=torch.float32, device=place)
            prompts["input_labels"] = torch.tensor(
                [[[int(one.is_object) for one in points]]], dtype=torch.int32, device=place
            )
        if box is not None and before is None:
            x, y, wide, high = box
            corners = [x * across, y * down, (x + wide) * across, (y + high) * down]
            prompts["input_boxes"] = torch.tensor([[corners]], dtype=torch.float32, device=place)
        if before is not None:
            side = 4 * int(features[-1].shape[-1])
            small = cv2.resize(before, (side, side), interpolation=cv2.INTER_AREA)
            shown = (small * 2 - 1) * np.float32(_SHOWN_ODDS)
            prompts["input_masks"] = torch.from_numpy(shown)[None, None].to(place)
        # 2. a single click may mean a thing, a part of it or more: the best of three answers
        is_ambiguous = len(points) == 1 and box is None and before is None
        with self._computing():
            found = self._network.network(
                image_embeddings=features, multimask_output=is_ambiguous, **prompts
            )
            scores = found.iou_scores[0, 0].float().cpu().numpy()
            masks = found.pred_masks[0, 0].float().cpu().numpy()
        best = int(np.argmax(scores))
        score, logits = float(scores[best]), masks[best]
        if not (math.isfinite(score) and np.isfinite(logits).all()):
            raise WeightsError(
                f"{self._network.family.title} gives numbers that are none",
                hint="fetch its weights again",
            )
        large = cv2.resize(logits, (self._width, self._height), interpolation=cv2.INTER_LINEAR)
        return np.clip(large, -MOST_ODDS, MOST_ODDS).astype(np.float32), min(max(score, 0.0), 1.0)

    def _computing(self) -> Any:  # noqa: ANN401  a context
        return computing(
            self._network.device,
            title=self._network.family.title,
            hint=f"use a smaller network, or {option('method', 'auto')}",
        )
