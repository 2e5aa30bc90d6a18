"""What a model misses and mixes up on labelled recordings, by its own output on their frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from edge.evaluation.opened import Opened
from edge.pipeline import StepStream
from industryasm.recording import Recording
from industryasm.segment import frame_labels
from models.confusion import Confusion, fit_confusion, pooled


def confusion_on(opened: Opened, recording: Recording) -> Confusion:
    """Stream a recording through the network; count what it says of the annotated frames."""
    steps, features = StepStream(opened.temporal), opened.features(recording)
    decided = [
        steps.push(feature, time_s)
        for feature, time_s in zip(features.features, features.times_s.tolist(), strict=True)
    ]
    decided.append(steps.close())
    rows = np.concatenate([some for some, _ in decided])  # (T, K)
    times_s = np.concatenate([some for _, some in decided])
    truth = frame_labels(recording.visible_work(), times_s.tolist())
    return fit_confusion(opened.temporal.card.labels, [(rows, truth)])


def normal_confusion(opened: Opened, recording: Recording) -> Confusion | None:
    """Do the same for a recording of normal work; None where its steps are not annotated."""
    return confusion_on(opened, recording) if recording.segments else None


def all_but(
    left_out: Confusion | None, labelled: Sequence[Confusion], normal: Sequence[Confusion]
) -> Confusion | None:
    """Return the counts of all recordings together but for one; None where none is left.

    Of `normal` work only the runs count: so much of it has next to no unexpected work, and as rare
    as that is there it would be believed at every second glance (docs/log.md, 2026-11-23).
    """
    frames = [part for part in labelled if part is not left_out]
    runs = [part for part in normal if part is not left_out]
    return reduce(Confusion.with_runs_of, runs, pooled(frames)) if frames else None
