"""`linewatch train`, `export` and `evaluate`: models learned from and judged on recordings.

They live at the edge because a model must be trained on what its station will see: recordings go
through the edge's own sources. PyTorch is imported when a command needs it, never with the module.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from industryasm.fault import UserFault
from industryasm.recording import DataSet, SplitName
from industryasm.segment import frame_labels
from industryasm.vocabulary import Task, load_task

if TYPE_CHECKING:
    from edge.evaluation import Evaluation
    from models.metrics import DeviationScore
    from models.runtime import Encoder
    from models.training import LabelledSequence

logger = logging.getLogger(__name__)

evaluate = typer.Typer(
    help="Judge a model on recordings whose truth is known.", no_args_is_help=True
)

RATE_HZ = 5.0


class SplitChoice(StrEnum):
    """The splits of a data set, as a choice on the command line."""

    train = "train"
    validation = "validation"
    test = "test"


def train(
    data: Annotated[
        list[Path], typer.Option(help="Data set, see `linewatch data render`; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model; made if need be.")],
    task: Annotated[str | None, typer.Option(help="Default: the task of the recordings.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the recordings.")] = 40,
    lookahead: Annotated[
        int, typer.Option(min=0, max=16, help="Frames of future that a decision may wait for.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
) -> None:
    """Train a model for one task from recordings, and write it with its card."""
    from models.chunks import ChunkShape
    from models.encoder import ENCODER
    from models.export import write_model
    from models.runtime import load_encoder
    from models.step_network import StepNetworkShape
    from models.training import TrainingConfig, fit_temperature, predict
    from models.training import train as fit

    data_sets, encoder = [DataSet(folder) for folder in data], load_encoder(ENCODER)
    vocabulary = _task_of(data_sets, task)
    sequences: dict[str, list[LabelledSequence]] = {
        split.value: [
            sequence
            for data_set in data_sets
            for sequence in _sequences(data_set, split.value, encoder, vocabulary)
        ]
        for split in SplitChoice
    }
    shape = StepNetworkShape(len(vocabulary.labels()), chunk=ChunkShape(lookahead=lookahead))
    config = TrainingConfig(epochs=epochs, seed=seed)
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
        rate_hz=RATE_HZ,
        temperature=fit_temperature(np.concatenate(logits[judged]), labels),
        trained_on=f"{names}: {len(sequences['train'])} recordings",
        trained_with=f"linewatch train, {config}",
        metrics={
            f"{split}_frame_accuracy": _accuracy(scores, sequences[split])
            for split, scores in logits.items()
        },
    )
    typer.echo(f"{out}: {json.dumps(card.metrics)}")


def export(
    model: Annotated[
        Path,
        typer.Argument(help="Model folder with temporal.safetensors, or efficientnet-lite0."),
    ],
    to: Annotated[str, typer.Option(help="Format; only onnx is there yet.")] = "onnx",
) -> None:
    """Export a model's temporal part, or the image encoder, again from its weights."""
    from models.card import encoder_file, file_sha256, read_card
    from models.encoder import ENCODER, export_encoder
    from models.export import export_temporal, read_network

    if to != "onnx":
        raise UserFault(f"--to {to!r}: only onnx can be written yet")
    if str(model) == ENCODER:
        export_encoder(encoder_file(ENCODER))
        typer.echo(f"{encoder_file(ENCODER)} written; models name its SHA-256 in their cards")
        return
    card = read_card(model)
    export_temporal(read_network(model, card), model / "temporal.onnx")
    digest = file_sha256(model / "temporal.onnx")
    card.model_copy(update={"temporal_sha256": digest}).write(model)
    typer.echo(f"{model / 'temporal.onnx'} written")


@evaluate.command()
def segmentation(
    model: Annotated[str, typer.Argument(help="Model folder, or a task for its shipped model.")],
    data: Annotated[Path, typer.Option(help="Data set.")],
    split: Annotated[SplitChoice, typer.Option(help="Which recordings.")] = SplitChoice.test,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score streamed segments against the truth, beside the probes and the majority class."""
    from edge.evaluation import evaluate_segmentation

    evaluation = evaluate_segmentation(model, data, split.value)
    if as_json:
        typer.echo(json.dumps(asdict(evaluation), indent=1))
        return
    typer.echo(score_table(evaluation))


@evaluate.command()
def deviations(
    model: Annotated[str, typer.Argument(help="Model folder, or a task for its shipped model.")],
    data: Annotated[Path, typer.Option(help="Data set.")],
    split: Annotated[SplitChoice, typer.Option(help="Which recordings.")] = SplitChoice.test,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the known deviations that are found, those that are not, and those invented."""
    from edge.evaluation import evaluate_deviations

    score = evaluate_deviations(model, data, split.value)
    parts: list[tuple[str, DeviationScore]] = [*score.by_kind().items(), ("all", score)]
    rows = {
        kind: {
            "found": len(part.matched),
            "missed": len(part.missed),
            "invented": len(part.invented),
            "median_delay_s": round(float(np.median(part.delays_s)), 1) if part.matched else None,
        }
        for kind, part in parts
    }
    if as_json:
        plain = {"precision": score.precision, "recall": score.recall, "kinds": rows}
        typer.echo(json.dumps(plain, indent=1))
        return
    typer.echo(f"{'':14} found  missed  invented  median delay")
    for kind, row in rows.items():
        delay = "-" if row["median_delay_s"] is None else f"{row['median_delay_s']:.1f} s"
        typer.echo(
            f"{kind:14} {row['found']:5}  {row['missed']:6}  {row['invented']:8}  {delay:>12}"
        )


def score_table(evaluation: Evaluation) -> str:
    """Word an evaluation as a table for a terminal."""
    lines = [f"{'':36} accuracy   edit  F1@10  F1@25  F1@50"]
    lines += [
        f"{name:36} {s.accuracy:8.1f} {s.edit:6.1f} {s.f1_10:6.1f} {s.f1_25:6.1f} {s.f1_50:6.1f}"
        for name, s in evaluation.scores.items()
    ]
    delay = evaluation.delay
    lines.append(
        f"a step is given out {delay.median_s:.1f} s after its end (p95 {delay.p95_s:.1f} s)"
    )
    return "\n".join(lines)


def _task_of(data_sets: Sequence[DataSet], name: str | None) -> Task:
    names = {recording.task for data_set in data_sets for recording in data_set.split("train")}
    if name is None and len(names) != 1:
        folders = ", ".join(str(data_set.folder) for data_set in data_sets)
        found = ", ".join(sorted(names)) or "none"
        raise UserFault(f"{folders}: tasks to train on: {found}; say which with --task")
    return load_task(name or names.pop())


def _sequences(
    data_set: DataSet, split: SplitName, encoder: Encoder, task: Task
) -> Iterator[LabelledSequence]:
    from edge.features import FeatureStore
    from models.encoder import ENCODER
    from models.training import LabelledSequence

    store = FeatureStore(data_set, encoder, name=ENCODER, rate_hz=RATE_HZ)
    index = {label: i for i, label in enumerate(task.labels())}
    for recording in data_set.split(split):
        if recording.task != task.id:
            continue
        features = store.of(recording)
        names = frame_labels(recording.spans(), features.times_s.tolist())
        if unknown := sorted(set(names) - set(index)):
            raise UserFault(f"{recording.id}: label {unknown[0]!r} is not in task {task.id!r}")
        yield LabelledSequence(features.features, np.array([index[name] for name in names]))


def _accuracy(logits: list[np.ndarray], sequences: list[LabelledSequence]) -> float:
    right = np.concatenate(
        [scores.argmax(axis=1) == s.labels for scores, s in zip(logits, sequences, strict=True)]
    )
    return round(float(right.mean()), 4)
