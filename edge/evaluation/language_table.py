"""The comparison on the four language tasks: each system trained alike, asked alike, judged alike.

Every system goes through the same two stages, `alignment` and then `language_training`, for the
same number of draws of the same crops, and is asked the same questions about the test split.
Trainings and answers lie in the work folder; a comparison that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.answers.questions import judge_answers, questions
from edge.answers.training import AnswerTraining, train_answers
from edge.evaluation.frame_table import FrameJob, evidence_of, frame_jobs
from edge.evaluation.language_answers import answers_to
from edge.evaluation.language_yardsticks import language_yardsticks, segment_scores
from edge.evaluation.row_title import row_title
from edge.evaluation.table_cell import mean_and_spread
from edge.evaluation.training_processes import side_by_side
from edge.evaluation.work_folder import claim, write_json
from edge.labelled_videos import labelled_splits
from industryasm.recording import DataSet
from industryasm.repairs import Repairs
from models.temporalvlm.config import SystemName

ROWS: dict[str, tuple[SystemName, bool]] = {
    "temporalvlm": ("temporalvlm", True),
    "timechat": ("timechat", True),
    "longvlm": ("longvlm", False),
    "videochat-embed": ("videochat-embed", False),
    "temporalvlm, no times as text": ("temporalvlm", False),
}
"""What each row trains: a system, and whether it is told times as text; the last two systems know
no times by their design."""


def step_head_title(row: str, device: str) -> str:
    """Return what the table calls the answers of a row of the frame-wise table.

    >>> step_head_title("TimeChat: no overlap, no fusion, no aggregation", "cpu")
    "TimeChat's step head, its segments"
    """
    system, _, _ = row.partition(":")
    return row_title(f"{system}'s step head, its segments", device)


@dataclass(frozen=True)
class LanguageJob:
    """One system with one seed on one data set; `steps` of alignment and of language training."""

    data: Path
    row: str
    seed: int
    steps: tuple[int, int]
    work: Path
    device: str = "cpu"

    @property
    def title(self) -> str:
        """What the table calls it."""
        return row_title(self.row, self.device)

    @property
    def folder(self) -> Path:
        """Where its trainings and answers lie."""
        name = "".join(c if c.isalnum() else "-" for c in self.title)
        steps = "-".join(map(str, self.steps))
        return self.work / self.data.name / "language" / name / f"{steps}-steps-seed-{self.seed}"

    @property
    def training(self) -> AnswerTraining:
        """What is trained for this row."""
        system, times = ROWS[self.row]
        return AnswerTraining(system, times, self.steps, self.seed)


def language_table(
    data: Path,
    *,
    work: Path,
    seeds: int,
    steps: tuple[int, int],
    processes: int,
    repairs: Repairs,
) -> dict[str, list[dict[str, Any]]]:
    """Return the scores of each system as JSON, one for each seed; the yardsticks have one.

    What questions and yardsticks leave out of the test split is counted in `repairs`. Raises
    `WorkFolderError` where trainings on other data of this name lie in `work`.
    """
    from models.training.distributed import own_device

    splits = labelled_splits(DataSet(data))
    claim(work / data.name, splits)
    found = {name: [scores.as_dict()] for name, scores in language_yardsticks(splits, repairs)}
    for head, scores in step_heads(data, work, seeds, steps[0], processes):
        found.setdefault(head, []).append(scores)
    device = own_device().type
    jobs = [
        LanguageJob(data, row, seed, steps, work, device) for seed in range(seeds) for row in ROWS
    ]
    for job, scores in side_by_side(run_language_job, jobs, processes=processes):
        found.setdefault(job.title, []).append(scores)
    return found


def step_heads(
    data: Path, work: Path, seeds: int, steps: int, processes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a step head answers, with each seed, by the segments that it finds.

    Of the systems TemporalVLM and TimeChat can have one. It is the frame-wise table's training, and
    is not done again where that was made in `work`.
    """
    from models.temporalvlm.frame_rows import TEMPORALVLM_ROW, TIMECHAT_ROW

    splits, rows = labelled_splits(DataSet(data), scaled=False), (TEMPORALVLM_ROW, TIMECHAT_ROW)
    jobs = frame_jobs(splits, data, rows, work=work, seeds=seeds, steps=steps)
    for job, scores in side_by_side(run_step_head, jobs, processes=processes):
        yield step_head_title(job.row, job.device), scores


def run_step_head(job: FrameJob) -> dict[str, Any]:
    """Train, or read what is trained, and judge by its answers."""
    splits = labelled_splits(DataSet(job.data), scaled=False)
    return segment_scores(evidence_of(job, splits), splits).as_dict()


def run_language_job(job: LanguageJob) -> dict[str, Any]:
    """Train and ask, or read what is trained and answered, and judge."""
    import torch

    torch.set_num_threads(1)
    splits = labelled_splits(DataSet(job.data))
    told = Repairs()  # by `language_table`, which asks the same
    model = train_answers(
        job.training,
        splits,
        job.folder,
        cache=job.work / "smollm2",
        device=torch.device(job.device),
        repairs=told,
    )
    asked = questions(splits, "test", told)
    answers = answers_to(model, asked, splits, job.folder / "answers.jsonl")
    scores = judge_answers(asked, answers, splits).as_dict()
    write_json(job.folder / "test.json", scores)  # for who looks while others are trained
    return scores


COLUMNS = (
    ("SODA_c (exact, stem)", "captioning", "soda_c_exact_stem"),
    ("CIDEr", "captioning", "cider"),
    ("F1", "captioning", "f1"),
    ("R@1 .3", "grounding", "recall_30"),
    (".5", "grounding", "recall_50"),
    (".7", "grounding", "recall_70"),
    ("mIoU", "grounding", "mean_overlap"),
    ("mAP", "highlights", "mean_average_precision"),
    ("HIT@1", "highlights", "hit_at_1"),
    ("accuracy", "segmentation", "ignored.accuracy"),
    ("edit", "segmentation", "ignored.edit"),
    ("F1@10", "segmentation", "ignored.f1_10"),
    ("F1@25", "segmentation", "ignored.f1_25"),
    ("F1@50", "segmentation", "ignored.f1_50"),
    ("F1@50, background counted", "segmentation", "counted.f1_50"),
)


def language_table_rows(found: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """Write the scores as a Markdown table: mean over the seeds, and their spread."""
    names = [name for name, _, _ in COLUMNS]
    rows = ["| | " + " | ".join(names) + " | unread lines |", "|---" * (len(names) + 2) + "|"]
    for row, scores in found.items():
        cells = [
            mean_and_spread([_figure(one, task, field) for one in scores])
            for _, task, field in COLUMNS
        ]
        cells.append(mean_and_spread([_unread(one) for one in scores]))
        rows.append(f"| {row} | " + " | ".join(cells) + " |")
    return rows


def _figure(scores: Mapping[str, Any], task: str, field: str) -> float:
    value: Any = scores[task]
    for key in field.split("."):
        value = value[key]
    return float(value)


def _unread(scores: Mapping[str, Any]) -> float:
    counts = scores["readings"].values()
    num_lines: int = sum(count["num_lines"] for count in counts)
    num_unread: int = sum(count["num_unread_lines"] for count in counts)
    return 100 * num_unread / max(num_lines, 1)
