"""The recordings of a data set as what the comparisons are trained on and judged by.

Features can be scaled by the mean and spread of the training split, as the probes' are. Networks
of frames do better without on IKEA ASM, and as well on CaptainCook4D (validation, docs/log.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.features import FeatureStore, NoPictures, open_store, published_features
from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.segment import frame_labels
from industryasm.vocabulary import BACKGROUND, Task
from models.card import ENCODER
from models.language.step_phrases import label_phrases
from models.temporalvlm.video_crops import LabelledVideo

SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class FeatureScale:
    """Mean and spread (D,) by which features are scaled."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> FeatureScale:
        """Measure features (N, D); what hardly varies is not blown up."""
        spread = features.std(axis=0) + SMALLEST_SPREAD * float(features.std())
        return cls(features.mean(axis=0), spread)

    @classmethod
    def none(cls, width: int) -> FeatureScale:
        """Leave features as they are."""
        return cls(np.zeros(width, np.float32), np.ones(width, np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return features float32 (N, D), scaled."""
        scaled: np.ndarray = ((features - self.mean) / self.spread).astype(np.float32)
        return scaled


@dataclass(frozen=True, eq=False)
class LabelledSplits:
    """A data set's three splits and its tasks, by name; features scaled alike, by `scale`.

    `encoder` made the features; None for published ones. `sha256` is of all that trainings and
    judgements depend on.
    """

    name: str
    tasks: dict[str, Task]
    videos: dict[SplitName, list[LabelledVideo]]
    recordings: dict[str, Recording]
    rate_hz: float
    scale: FeatureScale
    encoder: str | None
    sha256: str

    def label_names(self, task: str) -> tuple[str, ...]:
        """Return the labels of a task by index, told apart from other tasks' but for background."""
        return tuple(
            label if label == BACKGROUND else f"{task}: {label}"
            for label in self.tasks[task].labels()
        )

    def phrases(self, task: str) -> list[str]:
        """Return what the labels of a task mean, in words."""
        return label_phrases(self.tasks[task])


def labelled_splits(data: DataSet, *, scaled: bool = True) -> LabelledSplits:
    """Read a data set with its features, as they are where they are not to be `scaled`.

    Raises `UserFault` for a split without recordings, a task with none in the split train, features
    of several widths, and those that go on after their recording's end.
    """
    tasks: dict[str, Task] = {}
    store = _store(data)
    videos: dict[SplitName, list[LabelledVideo]] = {}
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    for split in splits:
        videos[split] = []
        for recording in data.split(split):
            task = tasks.setdefault(recording.task, data.task(recording.task))
            videos[split].append(_labelled(store, recording, task))
        if not videos[split]:
            raise UserFault(f"{data.folder}: no recording is in the split {split}")
    _check_alike(data, videos)
    everything = {recording.id: recording for recording in data.recordings()}
    known = np.concatenate([video.features for video in videos["train"]])
    scale = FeatureScale.of(known) if scaled else FeatureScale.none(known.shape[1])
    return LabelledSplits(
        name=data.index.name,
        tasks=tasks,
        videos={split: _scaled(some, scale) for split, some in videos.items()},
        recordings=everything,
        rate_hz=store.rate_hz,
        scale=scale,
        encoder=None if isinstance(store.encoder, NoPictures) else ENCODER,
        sha256=_sha256(tasks, videos, everything, scale),
    )


def _store(data: DataSet) -> FeatureStore:
    for recording in data.split("train"):
        if recording.video is not None:
            return open_store(data)
        if rate_hz := published_features(data, recording).rate_hz:  # one frame has none
            return open_store(data, rate_hz)
    raise UserFault(f"{data.folder}: no recording of two frames or more is in the split train")


def _labelled(store: FeatureStore, recording: Recording, task: Task) -> LabelledVideo:
    features = store.of(recording)
    index = {label: i for i, label in enumerate(task.labels())}
    names = frame_labels(recording.spans(), features.times_s.tolist())
    if unknown := sorted(set(names) - set(index)):
        raise UserFault(f"{recording.id}: label {unknown[0]!r} is not in task {task.id!r}")
    last_s = float(features.times_s[-1])
    if last_s > recording.duration_s:
        raise UserFault(
            f"recording {recording.id!r} has features up to {last_s:g} s and ends "
            f"at {recording.duration_s:g} s; import it again"
        )
    labels = np.array([index[name] for name in names], np.int64)
    return LabelledVideo(recording.id, task.id, features.features, features.times_s, labels)


def _check_alike(data: DataSet, videos: Mapping[SplitName, Sequence[LabelledVideo]]) -> None:
    first = videos["train"][0]
    trained = {video.task for video in videos["train"]}
    for split, some in videos.items():
        for video in some:
            if video.features.shape[1] != first.features.shape[1]:
                raise UserFault(
                    f"{data.folder}: recording {video.name!r} has features of "
                    f"{video.features.shape[1]} numbers, {first.name!r} of "
                    f"{first.features.shape[1]}; give all of them the same"
                )
            if video.task not in trained:
                raise UserFault(
                    f"{data.folder}: task {video.task!r} is in the split {split} and not in train; "
                    "put some of its recordings there, or leave it out"
                )


def _sha256(
    tasks: Mapping[str, Task],
    videos: Mapping[SplitName, Sequence[LabelledVideo]],
    recordings: Mapping[str, Recording],
    scale: FeatureScale,
) -> str:
    digest = hashlib.sha256(scale.mean.tobytes() + scale.spread.tobytes())
    for name in sorted(tasks):
        texts = {step.id: step.text for step in tasks[name].steps}
        digest.update(json.dumps([name, tasks[name].labels(), texts]).encode())
    for split, some in videos.items():
        for video in some:
            of = recordings[video.name]
            spans = [[span.label, span.start_s, span.end_s] for span in of.segments]
            about = [split, video.name, video.task, of.duration_s, spans, video.features.shape]
            digest.update(json.dumps(about).encode())
            digest.update(video.features.tobytes())
            digest.update(video.times_s.tobytes())
    return digest.hexdigest()


def _scaled(videos: Sequence[LabelledVideo], scale: FeatureScale) -> list[LabelledVideo]:
    return [replace(video, features=scale.apply(video.features)) for video in videos]
