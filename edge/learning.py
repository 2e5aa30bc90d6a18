"""`linewatch train`: models learned from recordings.

It lives at the edge because a model must be trained on what its station will see: recordings go
through the edge's own sources. Recordings with published features instead of a video give a model
that can be judged, but not watch. PyTorch is imported when the command needs it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import numpy as np
import typer

from industryasm.fault import UserFault
from industryasm.recording import DataSet, Recording, SplitName
from industryasm.segment import frame_labels
from industryasm.vocabulary import Task

if TYPE_CHECKING:
    from edge.features import FeatureStore
    from models.training.frames import LabelledSequence

logger = logging.getLogger(__name__)


def train(
    data: Annotated[
        list[Path], typer.Option(help="Data set, see `linewatch data`; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model; made if need be.")],
    task: Annotated[str | None, typer.Option(help="Default: the task of the recordings.")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the recordings [40, more of few recordings]."),
    ] = None,
    lookahead: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds of future that a decision waits for.")
    ] = 1.0,
    decide_every: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds of frames that are decided together.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
) -> None:
    """Train a model for one task from recordings, and write it with its card."""
    from edge.features import RATE_HZ, open_store
    from models.card import ENCODER
    from models.chunks import ChunkShape
    from models.export import write_model
    from models.step_network import StepNetworkShape
    from models.training.frames import TrainingConfig, enough_epochs, fit_temperature, predict
    from models.training.frames import train as fit

    data_sets = [DataSet(folder) for folder in data]
    vocabulary = _task_of(data_sets, task)
    rate_hz = _published_rate(data_sets, vocabulary)
    stores = [open_store(data_set, rate_hz) for data_set in data_sets]
    sequences: dict[str, list[LabelledSequence]] = {
        split: [sequence for store in stores for sequence in _sequences(store, split, vocabulary)]
        for split in get_args(SplitName)
    }
    rate = rate_hz or RATE_HZ
    shape = StepNetworkShape(
        len(vocabulary.labels()),
        feature_dim=_feature_dim(sequences, vocabulary),
        chunk=ChunkShape(
            chunk=max(1, round(decide_every * rate)), lookahead=round(lookahead * rate)
        ),
    )
    config = TrainingConfig(epochs=epochs or enough_epochs(sequences["train"]), seed=seed)
    network = fit(sequences["train"], shape, config)
    logits = {
        split: [predict(network, sequence.features) for sequence in of_split]
        for split, of_split in sequences.items()
        if of_split
    }
    judged = "validation" if "validation" in logits else "train"
    labels = np.concatenate([sequence.labels for sequence in sequences[judged]])
    names = ", ".join(data_set.index.name for data_set in data_sets)
    card = write_model(
        network,
        out,
        task=vocabulary,
        encoder=ENCODER if rate_hz is None else None,
        rate_hz=rate,
        temperature=fit_temperature(np.concatenate(logits[judged]), labels),
        trained_on=f"{names}: {len(sequences['train'])} recordings",
        trained_with=f"linewatch train, {config}",
        metrics={
            f"{split}_frame_accuracy": _accuracy(scores, sequences[split])
            for split, scores in logits.items()
        },
    )
    typer.echo(f"{out}: {json.dumps(card.metrics)}")


def _task_of(data_sets: Sequence[DataSet], name: str | None) -> Task:
    names = {recording.task for data_set in data_sets for recording in data_set.split("train")}
    if name is None and len(names) != 1:
        folders = ", ".join(str(data_set.folder) for data_set in data_sets)
        found = ", ".join(sorted(names)) or "none"
        raise UserFault(f"{folders}: tasks to train on: {found}; say which with --task")
    chosen = name or names.pop()
    tasks = [data_set.task(chosen) for data_set in data_sets]
    for data_set, task in zip(data_sets, tasks, strict=True):
        if task.vocabulary_hash() != tasks[0].vocabulary_hash():
            raise UserFault(
                f"{data_set.folder}: task {chosen!r} has other steps than in {data_sets[0].folder}"
            )
    return tasks[0]


def _published_rate(data_sets: Sequence[DataSet], task: Task) -> float | None:
    """Return the rate of the published features to train on; None where there are videos."""
    from edge.features import published_features

    rate_hz: float | None = None
    with_video: Recording | None = None
    for data_set in data_sets:
        for recording in data_set.recordings():
            if recording.task != task.id:
                continue
            if recording.video is not None:
                with_video = recording
            elif rate_hz is None:
                rate_hz = published_features(data_set, recording).rate_hz
    if rate_hz is not None and not 0.5 <= rate_hz <= 60:  # what decoder and card can speak of
        raise UserFault(
            f"task {task.id!r} has {rate_hz:g} features a second, models take 0.5 to 60"
        )
    if rate_hz is not None and with_video is not None:
        raise UserFault(
            f"recording {with_video.id!r} has a video, others of task {task.id!r} have published "
            "features: train on the one or on the other"
        )
    return rate_hz


def _sequences(store: FeatureStore, split: SplitName, task: Task) -> Iterator[LabelledSequence]:
    from models.training.frames import LabelledSequence

    index = {label: i for i, label in enumerate(task.labels())}
    for recording in store.data.split(split):
        if recording.task != task.id:
            continue
        features = store.of(recording)
        names = frame_labels(recording.visible_work(), features.times_s.tolist())
        if unknown := sorted(set(names) - set(index)):
            raise UserFault(f"{recording.id}: label {unknown[0]!r} is not in task {task.id!r}")
        yield LabelledSequence(features.features, np.array([index[name] for name in names]))


def _feature_dim(sequences: dict[str, list[LabelledSequence]], task: Task) -> int:
    if not sequences["train"]:
        raise UserFault(f"no recording of task {task.id!r} is in the split train")
    dims = {sequence.features.shape[1] for of_split in sequences.values() for sequence in of_split}
    if len(dims) > 1:
        numbers = ", ".join(map(str, sorted(dims)))
        raise UserFault(f"the features of task {task.id!r} have {numbers} numbers, expected one")
    return int(dims.pop())


def _accuracy(logits: list[np.ndarray], sequences: list[LabelledSequence]) -> float:
    right = np.concatenate(
        [scores.argmax(axis=1) == s.labels for scores, s in zip(logits, sequences, strict=True)]
    )
    return round(float(right.mean()), 4)
