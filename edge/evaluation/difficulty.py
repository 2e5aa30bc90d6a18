"""How hard a data set is: what the majority class and linear probes get on its test split.

Where the probe of one frame does well, the steps can be told by a photograph, and the data says
nothing about a model of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.evaluation.streamed import CONTEXT_S, baseline_labels
from edge.features import Features, FeatureStore, open_store, published_features
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.segment import frame_labels
from models.metrics import SegmentationScore, segmentation_score


@dataclass(frozen=True)
class BaselineLabels:
    """What the baselines say of one task's test split, by system, beside the truth."""

    task: str
    truth: list[list[str]]
    predicted: dict[str, list[list[str]]]

    def scores(self) -> dict[str, SegmentationScore]:
        """Return the score of each system."""
        return pooled_scores([self])


def label_by_baselines(data: DataSet) -> Iterator[BaselineLabels]:
    """Fit the baselines on each task's training split and label its test split, task by task.

    Tasks without recordings in one of the two splits are passed over; raises `UserFault` when that
    leaves none.
    """
    train, test = _by_task(data, "train"), _by_task(data, "test")
    tasks = sorted(train.keys() & test.keys())
    if not tasks:
        raise UserFault(f"{data.folder}: no task has recordings in both splits, train and test")
    store = _open_store(data, train[tasks[0]][0])
    for task_id in tasks:
        known = [store.of(recording) for recording in train[task_id]]
        judged = [store.of(recording) for recording in test[task_id]]
        predicted = baseline_labels(
            known,
            _labels(train[task_id], known),
            judged,
            labels=data.task(task_id).labels(),
            half_width=round(CONTEXT_S * store.rate_hz),
        )
        yield BaselineLabels(task_id, _labels(test[task_id], judged), predicted)


def _open_store(data: DataSet, recording: Recording) -> FeatureStore:
    if recording.video is not None:
        return open_store(data)
    return open_store(data, published_features(data, recording).rate_hz)


def pooled_scores(tasks: Sequence[BaselineLabels]) -> dict[str, SegmentationScore]:
    """Score each system over the recordings of all `tasks` together."""
    truth = [labels for task in tasks for labels in task.truth]
    return {
        name: segmentation_score(
            predicted=[labels for task in tasks for labels in task.predicted[name]], truth=truth
        )
        for name in tasks[0].predicted
    }


def _by_task(data: DataSet, split: SplitName) -> dict[str, list[Recording]]:
    found: dict[str, list[Recording]] = {}
    for recording in data.split(split):
        found.setdefault(recording.task, []).append(recording)
    return found


def _labels(recordings: Sequence[Recording], features: Sequence[Features]) -> list[list[str]]:
    return [
        frame_labels(recording.spans(), of_one.times_s.tolist())
        for recording, of_one in zip(recordings, features, strict=True)
    ]
