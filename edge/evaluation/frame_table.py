"""The frame-wise comparison: every row trained with every seed, judged on the test split.

Trainings run side by side in processes of one thread. What is finished lies in the work folder and
is not done again, so a comparison that was stopped goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.evaluation.frame_judgement import Evidence, FrameJudgement, judge_frames
from edge.evaluation.frame_yardsticks import yardsticks
from edge.evaluation.row_title import row_title
from edge.evaluation.table_cell import mean_and_spread
from edge.evaluation.training_processes import side_by_side
from edge.evaluation.work_folder import claim, write_json
from edge.labelled_videos import LabelledSplits, labelled_splits
from industryasm.recording import DataSet

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameJob:
    """One training: a row of the table with one seed on one data set."""

    data: Path
    row: str
    seed: int
    steps: int
    work: Path
    device: str = "cpu"

    @property
    def title(self) -> str:
        """What the table calls it."""
        return row_title(self.row, self.device)

    @property
    def folder(self) -> Path:
        """Where this training lies."""
        name = "".join(c if c.isalnum() else "-" for c in self.title.lower())
        return self.work / self.data.name / "frames" / name / f"{self.steps}-steps-seed-{self.seed}"


def frame_table(
    data: Path, *, work: Path, seeds: int, steps: int, processes: int
) -> dict[str, list[FrameJudgement]]:
    """Return what each system gets, once for each seed; the yardsticks have none, and one entry.

    Raises `WorkFolderError` where trainings on other data of this name lie in `work`.
    """
    from models.temporalvlm.frame_rows import FRAME_ROWS

    splits = labelled_splits(DataSet(data), scaled=False)
    jobs = frame_jobs(splits, data, FRAME_ROWS, work=work, seeds=seeds, steps=steps)
    found = {name: [judge_frames(evidence, splits)] for name, _, evidence in yardsticks(splits)}
    for job, judgement in side_by_side(run_job, jobs, processes=processes):
        found.setdefault(job.title, []).append(judgement)
    return found


def frame_jobs(
    splits: LabelledSplits,
    data: Path,
    rows: Sequence[str],
    *,
    work: Path,
    seeds: int,
    steps: int,
) -> list[FrameJob]:
    """Return the trainings of rows, one seed of all before the next, and make `work` ready.

    `splits` are those of `data`, of features as they are. Raises `WorkFolderError` as
    `frame_table`.
    """
    from models.training.distributed import own_device

    claim(work / data.name / "frames", splits)
    _prepare_texts(splits, work / data.name / "frames")
    device = own_device().type
    return [FrameJob(data, row, seed, steps, work, device) for seed in range(seeds) for row in rows]


def run_job(job: FrameJob) -> FrameJudgement:
    """Train, or read what is trained, and judge."""
    splits = labelled_splits(DataSet(job.data), scaled=False)
    judgement = judge_frames(evidence_of(job, splits), splits)
    write_json(job.folder / "test.json", judgement.as_dict())
    logger.info("%s: accuracy %.1f", job.folder, judgement.decoded.ignored.accuracy)
    return judgement


def evidence_of(job: FrameJob, splits: LabelledSplits) -> Evidence:
    """Train a row, or read what is trained of it; `splits` are of features as they are."""
    import torch

    from models.temporalvlm.frame_rows import frame_loop, train_row
    from models.training.loop import precision_on

    torch.set_num_threads(1)
    device = torch.device(job.device)
    return train_row(
        job.row,
        train=splits.videos["train"],
        validation=splits.videos["validation"],
        texts=_texts(job.work / job.data.name / "frames"),
        loop=frame_loop(job.seed, job.steps, precision_on(device)),
        folder=job.folder,
        about={
            "data": splits.name,
            "recordings": len(splits.videos["train"]),
            "data_sha256": splits.sha256,
        },
        device=device,
    )


def frame_table_rows(found: Mapping[str, list[FrameJudgement]]) -> list[str]:
    """Write the judgements as a Markdown table: mean over the seeds, and their spread."""
    rows = [
        "| | accuracy | edit | F1@10 | F1@25 | F1@50 | F1@50, background counted "
        "| best labels: accuracy | F1@50 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, judgements in found.items():
        decoded = [judgement.decoded.ignored for judgement in judgements]
        cells = [
            mean_and_spread([getattr(score, field) for score in decoded])
            for field in ("accuracy", "edit", "f1_10", "f1_25", "f1_50")
        ]
        cells.append(mean_and_spread([judgement.decoded.counted.f1_50 for judgement in judgements]))
        best = [judgement.best_labels.ignored for judgement in judgements]
        cells += [
            mean_and_spread([s.accuracy for s in best]),
            mean_and_spread([s.f1_50 for s in best]),
        ]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _prepare_texts(splits: LabelledSplits, folder: Path) -> None:
    """Embed the phrases of all labels once, by the language model's input embeddings."""
    from safetensors.torch import save_file

    from models.temporalvlm.config import SMOLLM2_135M
    from models.temporalvlm.pretrained import smollm2

    path = folder / "texts.safetensors"
    if path.is_file():
        return
    config = SMOLLM2_135M.model_copy(update={"lora": None})
    language = smollm2(config, cache=folder.parents[1] / "smollm2")
    texts = {task: language.embed_texts(splits.phrases(task)) for task in splits.tasks}
    part = path.with_suffix(".part")
    save_file(texts, part)
    part.replace(path)


def _texts(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "texts.safetensors")
