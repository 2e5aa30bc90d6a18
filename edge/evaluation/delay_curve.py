"""What waiting for the future brings: accuracy of the step network by its look-ahead.

Each row is trained with the look-ahead that it is judged with, on features as the edge has them,
not scaled. Beside them stand the same network with the whole recording before it, that offline
network run online as it is (what is read off at each moment from the past alone), a causal GRU and
probes. Judged twice: the best label of each frame, and the segments that a decoder gives out which
knows no order of steps (not a station's, which does), with their delay.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.evaluation.delay_judgement import DelayScore, arrival, judge_delayed
from edge.evaluation.frame_yardsticks import yardsticks
from edge.evaluation.table_cell import mean_and_spread
from edge.evaluation.training_processes import side_by_side
from edge.evaluation.work_folder import claim, write_json
from edge.labelled_videos import LabelledSplits, labelled_splits
from industryasm.recording import DataSet
from models.temporalvlm.video_crops import LabelledVideo

if TYPE_CHECKING:
    from models.step_network import FrameNetwork

logger = logging.getLogger(__name__)

LOOKAHEADS_S = (0.0, 0.5, 1.0, 2.0, 5.0)
DECIDE_EVERY_S = 0.8
WHOLE, WHOLE_RUN_ONLINE, CAUSAL_GRU = "whole recording", "the same, run online", "causal GRU"


@dataclass(frozen=True)
class DelayJob:
    """One training: a look-ahead in frames, or a row of another kind, with one seed."""

    data: Path
    row: str
    lookahead: int | None
    seed: int
    epochs: int
    work: Path

    @property
    def path(self) -> Path:
        """Where what it got lies."""
        name = "".join(c if c.isalnum() else "-" for c in self.row)
        folder = self.work / self.data.name / "delay"
        return folder / f"{name}-{self.epochs}-epochs-seed-{self.seed}.json"


def delay_curve(
    data: Path, *, work: Path, seeds: int, epochs: int, processes: int
) -> dict[str, list[DelayScore]]:
    """Return what each row gets, once for each seed; the yardsticks without one have one entry.

    Raises `WorkFolderError` where trainings on other data of this name lie in `work`.
    """
    splits = labelled_splits(DataSet(data), scaled=False)
    claim(work / data.name / "delay", splits)
    found: dict[str, list[DelayScore]] = {}
    for name, context_s, evidence in yardsticks(splits):
        ahead = round(context_s * splits.rate_hz)
        rows = {video.name: _softmax(evidence(video)) for video in splits.videos["test"]}
        found[name] = [judge_delayed(rows, splits, arrival(1, ahead))]
    lookaheads = {round(s * splits.rate_hz): s for s in reversed(LOOKAHEADS_S)}
    kinds = [(CAUSAL_GRU, None), *((_name(s), n) for n, s in sorted(lookaheads.items()))]
    kinds.append((WHOLE, None))
    jobs = [
        DelayJob(data, row, lookahead, seed, epochs, work)
        for seed in range(seeds)
        for row, lookahead in kinds
    ]
    for _, scores in side_by_side(run_delay_job, jobs, processes=processes):
        for row, score in scores.items():
            found.setdefault(row, []).append(score)
    return found


def run_delay_job(job: DelayJob) -> dict[str, DelayScore]:
    """Train and judge, or read what was judged before: one row or, of the offline network, two."""
    if job.path.is_file():
        plain = json.loads(job.path.read_text(encoding="utf-8"))
        return {row: DelayScore.from_dict(score) for row, score in plain.items()}
    import torch

    torch.set_num_threads(1)
    splits = labelled_splits(DataSet(job.data), scaled=False)
    scores = dict(_trained_scores(job, splits))
    write_json(job.path, {row: score.as_dict() for row, score in scores.items()})
    logger.info("%s: accuracy %.1f", job.path, scores[job.row].best_labels.accuracy)
    return scores


def _trained_scores(job: DelayJob, splits: LabelledSplits) -> Iterator[tuple[str, DelayScore]]:
    from models.chunks import ChunkShape
    from models.delay_yardsticks import WHOLE_RECORDING, CausalGRU, OfflineStepNetwork
    from models.step_network import StepNetwork

    every = _decide_every(splits.rate_hz)
    if job.lookahead is not None:
        network = _train(StepNetwork, ChunkShape(chunk=every, lookahead=job.lookahead), job, splits)
        rows = {v.name: _rows(network, v, splits) for v in splits.videos["test"]}
        yield job.row, judge_delayed(rows, splits, arrival(every, job.lookahead))
    elif job.row == CAUSAL_GRU:
        network = _train(CausalGRU, ChunkShape(), job, splits)
        rows = {v.name: _rows(network, v, splits) for v in splits.videos["test"]}
        yield job.row, judge_delayed(rows, splits, arrival(1, 0))
    else:
        network = _train(OfflineStepNetwork, WHOLE_RECORDING, job, splits)
        rows = {v.name: _rows(network, v, splits) for v in splits.videos["test"]}
        yield WHOLE, judge_delayed(rows, splits, None)
        rows = {v.name: _rows_online(network, v, splits, every) for v in splits.videos["test"]}
        yield WHOLE_RUN_ONLINE, judge_delayed(rows, splits, arrival(every, 0))


def _train(kind: Any, chunk: Any, job: DelayJob, splits: LabelledSplits) -> FrameNetwork:
    from models.step_network import StepNetworkShape
    from models.training.frames import LabelledSequence, TrainingConfig, train_kind

    columns = _columns(splits)
    num_labels = 1 + max(int(of_task.max()) for of_task in columns.values())
    width = splits.videos["train"][0].features.shape[1]
    network: FrameNetwork = train_kind(
        kind,
        [LabelledSequence(v.features, columns[v.task][v.labels]) for v in splits.videos["train"]],
        StepNetworkShape(num_labels, feature_dim=width, chunk=chunk),
        TrainingConfig(epochs=job.epochs, seed=job.seed),
    )
    return network


def _rows(network: FrameNetwork, video: LabelledVideo, splits: LabelledSplits) -> np.ndarray:
    """Return the probabilities (T, K) of the labels of the video's task."""
    from models.training.frames import predict

    return _softmax(predict(network, video.features)[:, _columns(splits)[video.task]])


def _rows_online(
    network: FrameNetwork, video: LabelledVideo, splits: LabelledSplits, every: int
) -> np.ndarray:
    """Return the probabilities (T, K) read off an offline network when each frame has just come.

    The network runs over all that was seen so far, anew each time `every` frames have come.
    """
    from models.training.frames import predict

    columns, rows = _columns(splits)[video.task], []
    for start in range(0, len(video.labels), every):
        seen = video.features[: start + every]
        rows.append(predict(network, seen)[start:, columns])
    return _softmax(np.concatenate(rows))


def _columns(splits: LabelledSplits) -> dict[str, np.ndarray]:
    """Return for each task where its labels are among those of all tasks."""
    names = {name: None for task in splits.tasks for name in splits.label_names(task)}
    place = {name: i for i, name in enumerate(names)}
    return {
        task: np.array([place[name] for name in splits.label_names(task)]) for task in splits.tasks
    }


def _decide_every(rate_hz: float) -> int:
    """Return a power of two of frames, for a chunk divides a window's stride."""
    return int(2 ** np.floor(np.log2(max(1.0, DECIDE_EVERY_S * rate_hz))))


def _name(lookahead_s: float) -> str:
    return f"look-ahead {lookahead_s:g} s"


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return rows


def delay_curve_rows(found: Mapping[str, Sequence[DelayScore]]) -> list[str]:
    """Write the scores as a Markdown table: mean over the seeds, and their spread."""
    rows = [
        "| | a frame is labelled after | best labels: accuracy | edit | F1@50 "
        "| segments given out: accuracy | edit | F1@50 | after their end, median | p95 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, scores in found.items():
        cells = [_seconds([score.decided_s for score in scores])]
        for part in ("best_labels", "segments"):
            for field in ("accuracy", "edit", "f1_50"):
                cells.append(mean_and_spread([getattr(getattr(s, part), field) for s in scores]))
        cells.append(_seconds([score.given_median_s for score in scores]))
        cells.append(_seconds([score.given_p95_s for score in scores]))
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _seconds(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean_and_spread(known)} s" if known else "at the end"
