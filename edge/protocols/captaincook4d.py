"""The CaptainCook4D protocol: from published features through a step model to deviations.

Each recording is judged through a model that was trained on the other persons' recordings, by the
publisher's task graph. The same detectors on the true steps tell what the models lose.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.evaluation.delay_judgement import Arrival, arrival
from edge.labelled_videos import LabelledSplits, labelled_splits
from edge.protocols.captaincook4d_detectors import DETECTORS, Accusation, Detector
from edge.protocols.captaincook4d_evidence import all_videos, folds, held_out_evidence
from edge.protocols.captaincook4d_probe import PROBE, context_frames
from edge.protocols.captaincook4d_score import HEAD, KindScore, score_kind
from edge.protocols.captaincook4d_truth import (
    JUDGED_KINDS,
    JudgedKind,
    JudgedRecording,
    judged_recording,
    order_reasons,
)
from industryasm.fault import UserFault
from industryasm.recording import DataSet
from models.decoder import Floats
from models.metrics import SegmentationScore, segmentation_score
from models.temporalvlm.video_crops import LabelledVideo

logger = logging.getLogger(__name__)

TRUE_STEPS = "true steps"

Scores = dict[str, dict[JudgedKind, KindScore]]
"""By detector and kind."""


@dataclass(frozen=True)
class CaptainCook4DReport:
    """What the protocol found: scores by evidence, detector and kind.

    `folds` says how many recordings each person has; `known` how many deviations there are of
    each kind, those that are not judged too; `order_reasons` what the task graph says of the
    order errors; `frames` how each step model labels them.
    """

    num_recordings: int
    hours: float
    folds: Mapping[str, int]
    known: Mapping[str, int]
    order_reasons: Mapping[str, int]
    frames: Mapping[str, SegmentationScore]
    scores: Mapping[str, Scores]

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        values = asdict(replace(self, scores={}))
        values["scores"] = {
            evidence: {
                name: {kind: score.plain() for kind, score in of_kind.items()}
                for name, of_kind in by_detector.items()
            }
            for evidence, by_detector in self.scores.items()
        }
        return values

    def table(self) -> str:
        """Word the report for a terminal."""
        lines = [
            f"CaptainCook4D, {self.num_recordings} recordings, {self.hours:.1f} hours; "
            f"{len(self.folds)} folds by person",
            "known: " + ", ".join(f"{number} {kind}" for kind, number in self.known.items()),
            "order errors: " + ", ".join(f"{n} {why}" for why, n in self.order_reasons.items()),
            *(
                f"{model}, best label of each frame: accuracy {frames.accuracy:.1f}, of steps "
                f"{frames.step_accuracy:.1f}, edit {frames.edit:.1f}, F1@50 {frames.f1_50:.1f}"
                for model, frames in self.frames.items()
            ),
        ]
        for evidence, by_detector in self.scores.items():
            for kind in JUDGED_KINDS:
                lines += ["", f"{f'{evidence}: {kind}':46}{HEAD}"]
                lines += [f"{name:46}{of[kind].row()}" for name, of in by_detector.items()]
        return "\n".join(lines)


def report(
    data: Path,
    work: Path,
    *,
    detectors: Mapping[str, Detector] = DETECTORS,
) -> CaptainCook4DReport:
    """Judge the imported set at `data`; the step model's evidence is kept in `work`.

    Raises `UserFault` for data that cannot be judged so, `WorkFolderError` for a folder `work`
    that holds the evidence of other data.
    """
    splits = labelled_splits(DataSet(data), scaled=False)
    _check_orders(splits)
    rows = held_out_evidence(splits, work)
    videos = all_videos(splits)
    recordings = {video.name: judged(splits, video) for video in videos}
    reasons: Counter[str] = Counter()
    for name, recording in recordings.items():
        reasons += order_reasons(splits.recordings[name], recording.procedure)
    known = Counter(d.kind for name in recordings for d in splits.recordings[name].deviations)
    return CaptainCook4DReport(
        num_recordings=len(videos),
        hours=sum(recording.duration_s for recording in recordings.values()) / 3600,
        folds={person: len(of_person) for person, of_person in folds(splits).items()},
        known={str(kind): number for kind, number in known.most_common()},
        order_reasons=dict(reasons.most_common()),
        frames={PROBE: _frame_score(splits, rows)},
        scores={
            PROBE: judge(splits, recordings, rows, detectors, waits=_waits(splits)),
            TRUE_STEPS: judge(splits, recordings, true_rows(splits), detectors),
        },
    )


def judge(
    splits: LabelledSplits,
    recordings: Mapping[str, JudgedRecording],
    rows: Mapping[str, Floats],
    detectors: Mapping[str, Detector],
    *,
    waits: Arrival = np.arange,
) -> Scores:
    """Score each detector on the evidence `rows` (T, K) of each recording.

    What is said is said when the evidence has come, which `waits` for later frames.
    """
    scores: Scores = {}
    for name, detector in detectors.items():
        said = []
        for video in all_videos(splits):
            recording, labels = recordings[video.name], splits.tasks[video.task].labels()
            accusations = detector.accuse(
                recording.procedure, labels, rows[video.name], video.times_s
            )
            newest_s = video.times_s[waits(len(video.times_s))]
            said.append((recording, [_as_late(a, video.times_s, newest_s) for a in accusations]))
        scores[name] = {
            kind: score_kind(kind, said, threshold=detector.threshold) for kind in JUDGED_KINDS
        }
        logger.info("%s: judged", name)
    return scores


def judged(splits: LabelledSplits, video: LabelledVideo) -> JudgedRecording:
    """Return what is known of a recording."""
    return judged_recording(
        splits.recordings[video.name],
        splits.tasks[video.task].procedure(),
        last_frame_s=float(video.times_s[-1]),
    )


def _check_orders(splits: LabelledSplits) -> None:
    for name, task in splits.tasks.items():
        procedure = task.procedure()
        if not procedure.required() or not any(step.after for step in procedure.steps):
            raise UserFault(
                f"task {name!r} has no order of required steps, by which nothing is missed: import "
                "the set with its task_graphs"
            )


def _waits(splits: LabelledSplits) -> Arrival:
    return arrival(1, context_frames(splits.rate_hz))


def true_rows(splits: LabelledSplits) -> dict[str, Floats]:
    """Return the true labels as evidence (T, K)."""
    return {v.name: np.eye(len(splits.label_names(v.task)))[v.labels] for v in all_videos(splits)}


def _as_late(accusation: Accusation, times_s: Floats, newest_s: Floats) -> Accusation:
    index = int(np.searchsorted(times_s, accusation.said_s, side="right")) - 1
    return replace(accusation, said_s=float(newest_s[max(index, 0)]))


def _frame_score(splits: LabelledSplits, rows: Mapping[str, Floats]) -> SegmentationScore:
    predicted, truth = [], []
    for video in all_videos(splits):
        names = splits.tasks[video.task].labels()
        predicted.append([names[index] for index in rows[video.name].argmax(axis=1).tolist()])
        truth.append([names[index] for index in video.labels.tolist()])
    return segmentation_score(predicted=predicted, truth=truth)
