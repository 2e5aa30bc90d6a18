"""Judges frame-wise evidence, decoded with one switching cost that validation chooses.

Frames labelled by the best label of each make several times too many segments, whatever the model;
so every system's evidence is decoded alike, and what its best labels get stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge.labelled_videos import LabelledSplits
from models.metrics import BackgroundRules, background_rules
from models.temporalvlm.video_crops import LabelledVideo
from models.viterbi import best_path

SWITCH_PENALTIES = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0)

Evidence = Callable[[LabelledVideo], np.ndarray]
"""Maps a video of N frames to log probabilities (N, K) of its task's labels, finite."""


@dataclass(frozen=True)
class FrameJudgement:
    """What a system gets on the test split: decoded, and by the best label of each frame."""

    decoded: BackgroundRules
    best_labels: BackgroundRules
    switch_penalty: float

    def as_dict(self) -> dict[str, Any]:
        """Return the scores in the form of JSON."""
        return asdict(self)


def judge_frames(evidence: Evidence, splits: LabelledSplits) -> FrameJudgement:
    """Choose the switching cost with the highest F1@50 on validation, and judge the test split."""
    known = splits.videos["validation"]
    rows = [evidence(video) for video in known]
    scores = [_decoded(rows, known, splits, cost).ignored.f1_50 for cost in SWITCH_PENALTIES]
    cost = SWITCH_PENALTIES[int(np.argmax(scores))]
    test = splits.videos["test"]
    judged = [evidence(video) for video in test]
    return FrameJudgement(
        _decoded(judged, test, splits, cost), _decoded(judged, test, splits, 0.0), cost
    )


def _decoded(
    rows: Sequence[np.ndarray],
    videos: Sequence[LabelledVideo],
    splits: LabelledSplits,
    switch_penalty: float,
) -> BackgroundRules:
    names = {task: splits.label_names(task) for task in splits.tasks}
    paths = [best_path(evidence, switch_penalty=switch_penalty) for evidence in rows]
    return background_rules(
        predicted=[[names[v.task][i] for i in p] for v, p in zip(videos, paths, strict=True)],
        truth=[[names[v.task][i] for i in v.labels] for v in videos],
    )
