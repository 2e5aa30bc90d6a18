"""`linewatch train-reader`: adapters that have learned to read the lines of video tokens.

Every training with SmolLM2 starts from those that are shipped, `READER`: the best checkpoint of
this command in float16, whose header tells the tasks and settings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from industryasm.vocabulary import Task, load_task, task_ids
from models.card import file_sha256

if TYPE_CHECKING:
    import torch

    from models.temporalvlm.language_model import LanguageModel
    from models.temporalvlm.reading import Reader

READER = Path(__file__).parents[2] / "models/shipped/smollm2-reader/adapters.safetensors"
HELD_OUT = 8
"""Every so manieth vocabulary is kept from training, to see what was learned."""
CHECKED_LINES = 8
CHECKS = 6


def vocabularies() -> tuple[list[Task], list[Task]]:
    """Return the tasks that are learned from, and those that are not."""
    names = sorted(task_ids())
    known = [load_task(name) for place, name in enumerate(names) if place % HELD_OUT]
    return known, [load_task(name) for name in names[::HELD_OUT]]


def start_reading(language: LanguageModel, adapters: Path, *, lines_too: bool = True) -> None:
    """Give a language model the adapters of a `train-reader`.

    Raises `LanguageModelError` for adapters of another model or, with `lines_too`, for those that
    learned to read lines of another number of words; `TrainingError` for a file that does not fit.
    """
    from models.temporalvlm.language_model import LanguageModelError
    from models.temporalvlm.reading import Reader
    from models.training.checkpoint import read_header
    from models.training.loop import load_weights

    lines = language.config.lines
    ours = {"name": language.config.name, "words": lines and lines.words}
    try:
        learned = json.loads(read_header(adapters).run)["about"]["language"]
        theirs = {"name": learned["name"], "words": learned["lines"]["words"]}
    except (KeyError, TypeError) as error:
        raise LanguageModelError(f"{adapters}: no adapters of `linewatch train-reader`") from error
    if ours["name"] != theirs["name"] or (lines_too and ours != theirs):
        raise LanguageModelError(f"{adapters}: adapters for {theirs}, the model has {ours}")
    load_weights(Reader(language), adapters)


def train_reader(
    out: Annotated[Path, typer.Option(help="Folder of the training; goes on with what is there.")],
    steps: Annotated[int, typer.Option(min=1, help="Time lines for each process.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same adapters.")] = 0,
    adapters: Annotated[
        Path | None, typer.Option(help="What to start with, of an earlier training.")
    ] = None,
) -> None:
    """Train SmolLM2 to read time lines, made up of the vocabularies' steps.

    In bfloat16 where that is faster; in several processes where torchrun starts them.
    """
    from edge.answers.ask import smollm2_cache
    from models.training import distributed

    with distributed.start() as device:
        train(out, steps=steps, seed=seed, start=adapters, cache=smollm2_cache(), device=device)


def train(
    folder: Path,
    *,
    steps: int,
    seed: int,
    start: Path | None,
    cache: Path,
    device: torch.device,
) -> Reader:
    """Train in `folder`, or read what is trained there."""
    import torch

    from edge.answers.training import language_precision_on
    from models.temporalvlm.config import SMOLLM2_135M, LinesConfig
    from models.temporalvlm.pretrained import smollm2
    from models.temporalvlm.reading import Reader, TimeLines
    from models.training.loop import LoopConfig, run_loop

    precision = language_precision_on(device)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    config = SMOLLM2_135M.model_copy(update={"lines": LinesConfig()})
    torch.manual_seed(seed)
    reader = Reader(smollm2(config, cache=cache, dtype=dtype))
    if start is not None:
        start_reading(reader.language, start, lines_too=False)
    reader = reader.to(device)
    known, unknown = vocabularies()
    checked = TimeLines(unknown, reader.language, seed=1)

    def score() -> float:
        return -sum(float(checked.loss(reader, n)) for n in range(CHECKED_LINES)) / CHECKED_LINES

    run_loop(
        reader,
        TimeLines(known, reader.language, seed=seed).loss,
        LoopConfig(
            steps=steps,
            learning_rate=1e-3,
            weight_decay=0.01,
            check_every=max(1, steps // CHECKS),
            precision=precision,
            seed=seed,
        ),
        folder,
        about={
            "stage": "reading",
            "language": reader.language.config.model_dump(mode="json"),
            "start_sha256": None if start is None else file_sha256(start),
            "tasks": {task.id: task.vocabulary_hash() for task in known},
        },
        validate=score,
    )
    return reader
