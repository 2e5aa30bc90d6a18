"""The step model of the CaptainCook4D protocol, trained without one person's recordings.

A linear probe for each recipe: a step network for all of them labelled fewer frames rightly in the
one fold that was tried (docs/captaincook4d.md).
"""

from __future__ import annotations

import numpy as np

from edge.labelled_videos import LabelledSplits
from models.decoder import Floats
from models.temporalvlm.video_crops import LabelledVideo

CONTEXT_S = 5.0
"""The probe takes the mean of so much past and future, which a decision waits for."""

PROBE = f"linear probe of ±{CONTEXT_S:g} s"


def probe_evidence(splits: LabelledSplits, person: str) -> dict[str, Floats]:
    """Return the probabilities (T, K) of a person's recordings by probes of the others'."""
    from models.baselines import context_mean, fit_probe

    known, judged = without(splits, person)
    width = context_frames(splits.rate_hz)
    out: dict[str, Floats] = {}
    for task in sorted({video.task for video in judged}):
        of_task = [video for video in known if video.task == task]
        probe = fit_probe(
            np.concatenate([context_mean(video.features, width) for video in of_task]),
            np.concatenate([video.labels for video in of_task]),
            num_labels=len(splits.label_names(task)),
        )
        for video in judged:
            if video.task == task:
                out[video.name] = probe.probabilities(context_mean(video.features, width))
    return out


def without(splits: LabelledSplits, person: str) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Return the recordings of the others and those of `person`, whatever the published split."""
    known: list[LabelledVideo] = []
    judged: list[LabelledVideo] = []
    for videos in splits.videos.values():
        for video in videos:
            is_theirs = splits.recordings[video.name].operator == person
            (judged if is_theirs else known).append(video)
    return known, judged


def context_frames(rate_hz: float) -> int:
    """Return the frames of past and of future that the probe takes the mean of."""
    return round(CONTEXT_S * rate_hz)
