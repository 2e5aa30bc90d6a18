"""`linewatch train-answers` and `ask`: questions about recordings, answered in words and times."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from industryasm.fault import UserFault

if TYPE_CHECKING:
    from edge.answers.model import AnswerCard, Reply
    from edge.features import Features
    from industryasm.vocabulary import Task
    from models.language.instructions import LanguageTask, Question


class SystemChoice(StrEnum):
    """The systems, as a choice on the command line."""

    temporalvlm = "temporalvlm"
    timechat = "timechat"
    longvlm = "longvlm"
    videochat_embed = "videochat-embed"


class Asked(StrEnum):
    """What can be asked, as a choice on the command line."""

    captions = "captions"
    when = "when"
    highlights = "highlights"
    steps = "steps"

    @property
    def task(self) -> LanguageTask:
        """The task that a model was trained on."""
        tasks: dict[Asked, LanguageTask] = {
            Asked.captions: "dense_captioning",
            Asked.when: "grounding",
            Asked.highlights: "highlights",
            Asked.steps: "segmentation",
        }
        return tasks[self]


def train_answers(
    data: Annotated[Path, typer.Option(help="Data set, see `linewatch data`.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; goes on with what is there.")],
    system: Annotated[SystemChoice, typer.Option(help="System.")] = SystemChoice.temporalvlm,
    written_times: Annotated[
        bool, typer.Option(help="Write times between the video tokens, as text.")
    ] = True,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the first stage.")] = 800,
    answer_steps: Annotated[int, typer.Option(min=1, help="Steps with the language model.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    llama: Annotated[
        Path | None,
        typer.Option(help="Local Hugging Face folder of a LLaMA-2-chat model [SmolLM2-135M]."),
    ] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option(help="Compute layers twice, to hold less in memory.")
    ] = False,
    shard: Annotated[
        bool, typer.Option(help="Share the parameters between torchrun's processes (FSDP).")
    ] = False,
) -> None:
    """Train a video language model on recordings, to be asked with `linewatch ask`.

    On a GPU where there is one, in bfloat16; in several processes where torchrun starts them.
    """
    from edge.answers import training as answer_training
    from edge.answers.model import write_card
    from edge.answers.training import AnswerTraining
    from edge.labelled_videos import labelled_splits
    from industryasm.recording import DataSet
    from industryasm.repairs import Repairs
    from models.training import distributed

    splits = labelled_splits(DataSet(data))
    marks = answer_training.TIME_MARKS if written_times else None
    training = AnswerTraining(
        system.value,
        marks,
        (steps, answer_steps),
        seed,
        llama=llama,
        gradient_checkpointing=gradient_checkpointing,
        shard=shard,
    )
    repairs = Repairs()
    with distributed.start() as device:
        model = answer_training.train_answers(
            training, splits, out, cache=smollm2_cache(), device=device, repairs=repairs
        )
        if not distributed.writes():
            return
    assert model.language is not None
    card = write_card(out, training, splits, model.language.config.name)
    for line in repairs.lines():
        typer.echo(f"questions about the split validation: {line}")
    typer.echo(f"{out}: {training.name}, trained on {card.trained_on}")


def ask(
    model: Annotated[Path, typer.Argument(help="Folder that `linewatch train-answers` wrote.")],
    recording: Annotated[str, typer.Argument(help="A recording of --data, or a video file.")],
    asked: Annotated[
        Asked, typer.Argument(help="What is done; when one thing is; its best moments; the steps.")
    ] = Asked.captions,
    about: Annotated[
        str | None, typer.Option(help="With `when` and `highlights`: what is looked for.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data set of the recording.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Task of a video file, or a YAML file, for `steps`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a trained model about a recording; what it says and cannot be read is told as such."""
    from edge.answers.model import load_answer_model

    answering = load_answer_model(model, cache=smollm2_cache())
    if data is None:
        subject = _of_video(answering.card, Path(recording), task)
    else:
        subject = _of_data_set(answering.card, data, recording)
    question = _question(asked, about, subject)
    reply = answering.ask(
        question, subject.features, task=subject.task, duration_s=subject.duration_s
    )
    typer.echo(json.dumps(_plain(reply), indent=1) if as_json else _worded(reply))


def smollm2_cache() -> Path:
    """Return the folder in the user's cache in which SmolLM2 lies unpacked, or will lie."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "linewatch" / "smollm2"


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is asked about; `task` is None for a video of which nothing is known."""

    features: Features
    duration_s: float
    task: Task | None


def _of_data_set(card: AnswerCard, folder: Path, name: str) -> _Subject:
    from edge.features import open_store
    from industryasm.recording import DataSet

    data = DataSet(folder)
    found = {recording.id: recording for recording in data.recordings()}
    if name not in found:
        raise UserFault(f"{folder}: no recording {name!r}; there are {', '.join(found)}")
    recording = found[name]
    features = open_store(data, card.rate_hz if card.encoder is None else None).of(recording)
    return _Subject(features, recording.duration_s, data.task(recording.task))


def _of_video(card: AnswerCard, video: Path, task: str | None) -> _Subject:
    from edge.features import video_features
    from industryasm.vocabulary import find_task
    from models.runtime import load_encoder

    if card.encoder is None:
        raise UserFault(
            f"{video}: the model was trained on published features, which no video has; give --data"
        )
    if not video.is_file():  # a number would be a camera, which never ends
        raise UserFault(f"{video}: no such video file; a recording of a data set needs --data")
    features = video_features(video, load_encoder(card.encoder), rate_hz=card.rate_hz)
    duration_s = float(features.times_s[-1]) + 1 / card.rate_hz
    return _Subject(features, duration_s, None if task is None else find_task(task))


def _question(asked: Asked, about: str | None, subject: _Subject) -> Question:
    from models.language.examples import clip_length_s
    from models.language.instructions import Question
    from models.language.step_phrases import StepPhrases

    needs_text = asked in (Asked.when, Asked.highlights)
    if needs_text and not (about and about.strip()):
        raise UserFault(f"{asked}: say with --about TEXT what is looked for")
    if about and not needs_text:
        raise UserFault(f"{asked}: --about {about!r} is for `when` and `highlights`")
    steps: tuple[str, ...] = ()
    if asked is Asked.steps:
        if subject.task is None:
            raise UserFault("steps: say with --task whose steps are looked for in a video file")
        steps = tuple(StepPhrases.of(subject.task).phrases.values())
    return Question(
        asked.task,
        query=about.strip() if about else None,
        clip_s=clip_length_s(subject.duration_s) if asked is Asked.highlights else None,
        steps=steps,
    )


def _plain(reply: Reply) -> dict[str, Any]:
    read = reply.read
    return {
        "instruction": reply.instruction,
        "answer": reply.answer.text,
        "is_finished": reply.answer.is_finished,
        "values": [asdict(value) for value in read.values],
        "remarks": [
            {
                "what": remark.what,
                "outcome": remark.outcome,
                "text": read.text[remark.place.start : remark.place.end],
            }
            for remark in read.remarks
        ],
    }


def _worded(reply: Reply) -> str:
    """Return the lines that could be read as they were said, then what is to be said of the rest.

    A model says nothing of how sure it is, so nothing of that is told.
    """
    read = reply.read
    lines = [read.text[place.start : place.end] for place in read.places]
    if not lines:
        lines = ["nothing" if read.text.strip() else "(an empty answer)"]
    for remark in read.remarks:
        said = read.text[remark.place.start : remark.place.end]
        lines.append(f"  {remark.outcome}: {remark.what}: {said!r}")
    return "\n".join(lines)
