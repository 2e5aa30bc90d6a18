"""What the rows of the frame-wise comparison must beat: the majority class and linear probes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from edge.evaluation.frame_judgement import Evidence
from edge.labelled_videos import LabelledSplits
from models.baselines import LinearProbe, context_mean, fit_probe, majority
from models.temporalvlm.video_crops import LabelledVideo

CONTEXTS_S = (0.0, 1.0, 4.0)
"""Half the seconds that a probe's features are averaged over."""


def yardsticks(splits: LabelledSplits) -> Iterator[tuple[str, float, Evidence]]:
    """Yield each yardstick's name, the seconds of future it sees, and its evidence.

    Fitted on the training split task by task.
    """
    commonest = {
        task: majority(np.concatenate([v.labels for v in splits.videos["train"] if v.task == task]))
        for task in splits.tasks
    }
    sizes = {task: len(splits.label_names(task)) for task in splits.tasks}
    yield "majority class", 0.0, partial(_one_label, commonest, sizes)
    for context_s in CONTEXTS_S:
        width = round(context_s * splits.rate_hz)
        if context_s and not width:
            continue
        probes = {task: _probe(splits, task, width) for task in splits.tasks}
        name = f"linear probe, mean of ±{context_s:g} s" if width else "linear probe of one frame"
        yield name, context_s, partial(_by_probe, probes, width)


def _probe(splits: LabelledSplits, task: str, width: int) -> LinearProbe:
    known = [video for video in splits.videos["train"] if video.task == task]
    return fit_probe(
        np.concatenate([context_mean(video.features, width) for video in known]),
        np.concatenate([video.labels for video in known]),
        num_labels=len(splits.label_names(task)),
    )


def _one_label(labels: dict[str, int], sizes: dict[str, int], video: LabelledVideo) -> np.ndarray:
    evidence = np.full((len(video.labels), sizes[video.task]), -1.0)
    evidence[:, labels[video.task]] = 0.0
    return evidence


def _by_probe(probes: dict[str, LinearProbe], width: int, video: LabelledVideo) -> np.ndarray:
    rows = probes[video.task].probabilities(context_mean(video.features, width))
    evidence: np.ndarray = np.log(np.maximum(rows, np.finfo(np.float32).tiny))
    return evidence
