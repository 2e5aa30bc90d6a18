"""The comparison on the four language tasks: each system trained alike, asked alike, judged alike.

Every system goes through the same two stages, `alignment` and then `language_training`, for the
same number of draws of the same crops, and is asked the same questions about the test split.
Trainings and answers lie in the work folder; a comparison that was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edge.labelled_videos import LabelledSplits, labelled_splits
from edge.language_answers import answers_to
from edge.language_questions import judge_answers, questions
from edge.language_yardsticks import language_yardsticks
from edge.table_cell import mean_and_spread
from edge.training_processes import side_by_side
from edge.work_folder import claim, write_json
from industryasm.recording import DataSet
from industryasm.repairs import Repairs
from models.language.examples import Example

if TYPE_CHECKING:
    from models.temporalvlm.video_language_model import VideoLanguageModel

MARKED_ROW = "temporalvlm, times as text"
TIME_MARKS = 8
"""Video tokens between two times that are written as text: those of a window."""

VALIDATION_EXAMPLES = 16


@dataclass(frozen=True)
class LanguageJob:
    """One system with one seed on one data set; `steps` of alignment and of language training."""

    data: Path
    row: str
    seed: int
    steps: tuple[int, int]
    work: Path

    @property
    def folder(self) -> Path:
        """Where its trainings and answers lie."""
        name = "".join(c if c.isalnum() else "-" for c in self.row)
        steps = "-".join(map(str, self.steps))
        return self.work / self.data.name / "language" / name / f"{steps}-steps-seed-{self.seed}"


def language_rows() -> tuple[str, ...]:
    """Return the names of the compared systems."""
    from models.temporalvlm.systems import SystemName

    return (*get_args(SystemName), MARKED_ROW)


def language_table(
    data: Path, *, work: Path, seeds: int, steps: tuple[int, int], processes: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the scores of each system as JSON, one for each seed; the yardsticks have one.

    Raises `WorkFolderError` where trainings on other data of this name lie in `work`.
    """
    splits = labelled_splits(DataSet(data))
    claim(work / data.name, splits)
    found = {name: [scores.as_dict()] for name, scores in language_yardsticks(splits)}
    jobs = [
        LanguageJob(data, row, seed, steps, work)
        for seed in range(seeds)
        for row in language_rows()
    ]
    for job, scores in side_by_side(run_language_job, jobs, processes=processes):
        found.setdefault(job.row, []).append(scores)
    return found


def run_language_job(job: LanguageJob) -> dict[str, Any]:
    """Train, ask and judge, or read what was judged before."""
    path = job.folder / "test.json"
    if path.is_file():
        judged: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return judged
    import torch

    torch.set_num_threads(1)
    splits = labelled_splits(DataSet(job.data))
    model = _trained(job, splits)
    asked = questions(splits, "test", Repairs())
    answers = answers_to(model, asked, splits, job.folder / "answers.jsonl")
    scores = judge_answers(asked, answers, splits).as_dict()
    write_json(path, scores)
    return scores


def _trained(job: LanguageJob, splits: LabelledSplits) -> VideoLanguageModel:
    """Train a system in two stages, or read it where it is trained."""
    from models.temporalvlm.alignment import AlignmentDraws, AlignmentLoss
    from models.temporalvlm.language_training import LanguageDraws, mean_loss
    from models.temporalvlm.parts import freeze
    from models.temporalvlm.video_crops import VideoCrops
    from models.training_loop import LoopConfig, run_loop

    model = _new(job, splits)
    assert model.language is not None
    texts = {task: model.language.embed_texts(splits.phrases(task)) for task in splits.tasks}
    crops = VideoCrops(splits.videos["train"], seed=job.seed)
    about = {"system": job.row, "data": splits.name, "recordings": len(crops.videos)}
    first, second = (
        LoopConfig(steps=steps, learning_rate=1e-3, check_every=max(1, steps // 8), seed=job.seed)
        for steps in job.steps
    )
    trained = model.trained
    freeze(model, trained - {"lora"})
    run_loop(
        AlignmentLoss(model, texts),
        AlignmentDraws(crops, model).loss,
        first,
        job.folder / "alignment",
        about={"stage": "alignment", **about},
    )
    freeze(model, trained)
    known = {video.name: video for video in splits.videos["validation"]}
    judged = sorted(questions(splits, "validation", Repairs()), key=_mixed)[:VALIDATION_EXAMPLES]
    run_loop(
        model,
        LanguageDraws(crops, splits.recordings, splits.tasks, model).loss,
        second,
        job.folder / "answers",
        about={"stage": "answers", **about},
        validate=lambda: -mean_loss(model, judged, known),
    )
    return model


def _mixed(example: Example) -> int:
    from models.training_loop import seed_of

    return seed_of(example.recording_id, example.instruction)


def _new(job: LanguageJob, splits: LabelledSplits) -> VideoLanguageModel:
    import torch

    from models.temporalvlm.config import SMALL, SMOLLM2_135M
    from models.temporalvlm.language_model import smollm2
    from models.temporalvlm.systems import SystemName, build_system
    from models.training_loop import seed_of

    torch.manual_seed(seed_of("weights", job.seed))
    marks = TIME_MARKS if job.row == MARKED_ROW else None
    config = SMOLLM2_135M.model_copy(update={"time_marks": marks})
    name: SystemName = next(name for name in get_args(SystemName) if name == job.row.split(",")[0])
    first = splits.videos["train"][0]
    return build_system(
        name,
        feature_dim=first.features.shape[1],
        frames=SMALL.segmentation.segments * SMALL.segmentation.frames,
        language=smollm2(config, cache=job.work / "smollm2"),
    )


COLUMNS = (
    ("SODA_c", "captioning", "soda_c_exact_stem"),
    ("CIDEr", "captioning", "cider"),
    ("F1", "captioning", "f1"),
    ("R@1 .3", "grounding", "recall_30"),
    (".5", "grounding", "recall_50"),
    (".7", "grounding", "recall_70"),
    ("mIoU", "grounding", "mean_overlap"),
    ("mAP", "highlights", "mean_average_precision"),
    ("HIT@1", "highlights", "hit_at_1"),
    ("accuracy", "segmentation", "accuracy"),
    ("edit", "segmentation", "edit"),
    ("F1@10", "segmentation", "f1_10"),
    ("F1@25", "segmentation", "f1_25"),
    ("F1@50", "segmentation", "f1_50"),
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
    of_task = scores[task]["ignored"] if task == "segmentation" else scores[task]
    return float(of_task[field])


def _unread(scores: Mapping[str, Any]) -> float:
    counts = scores["readings"].values()
    num_lines: int = sum(count["num_lines"] for count in counts)
    num_unread: int = sum(count["num_unread_lines"] for count in counts)
    return 100 * num_unread / max(num_lines, 1)
