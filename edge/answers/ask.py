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
from industryasm.vocabulary import Task, find_task
from models.whole_files import holds

if TYPE_CHECKING:
    from edge.answers.model import AnswerModel
    from edge.answers.reply import Reply
    from edge.answers.step_answers import StepAnswers
    from edge.features import Features
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
        bool, typer.Option(help="Write its times behind each video token, as text.")
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
    training = AnswerTraining(
        system.value,
        written_times,
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
    card = write_card(out, training, splits, model)
    for line in repairs.lines():
        typer.echo(f"questions about the split validation: {line}")
    typer.echo(f"{out}: {training.name}, trained on {card.trained_on}")


def ask(
    model: Annotated[
        str,
        typer.Argument(
            help="Folder that `linewatch train-answers` or `train` wrote, or a task for its "
            "shipped model."
        ),
    ],
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
    """Ask a trained model about a recording; what it says and cannot be read is told as such.

    A language model (`train-answers`) answers in its own words; a step model (`train`) by the
    segments that it finds, and about the steps of its task alone.
    """
    of_video = None if task is None else find_task(task)
    answering = _load(model, data, of_video)
    if data is None:
        subject = _of_video(answering, Path(recording), of_video)
    else:
        subject = _of_data_set(answering, data, recording)
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


def _load(model: str, data: Path | None, task: Task | None) -> AnswerModel | StepAnswers:
    """Load a model that answers, or a step model with its task as the data set has it."""
    from edge.evaluation.opened import load_step_model, model_folder

    if holds(Path.is_dir, model) and not (Path(model) / "temporal.onnx").is_file():
        from edge.answers.model import load_answer_model

        return load_answer_model(Path(model), cache=smollm2_cache())
    from edge.answers.step_answers import StepAnswers

    return StepAnswers(load_step_model(model_folder(model), data, task))


def _of_data_set(answering: AnswerModel | StepAnswers, folder: Path, name: str) -> _Subject:
    from edge.features import store_of
    from industryasm.recording import DataSet

    data, card = DataSet(folder), answering.card
    found = {recording.id: recording for recording in data.recordings()}
    if name not in found:
        raise UserFault(f"{folder}: no recording {name!r}; there are {', '.join(found)}")
    recording = found[name]
    features = store_of(data, card.encoder, card.rate_hz).of(recording)
    return _Subject(features, recording.duration_s, data.task(recording.task))


def _of_video(answering: AnswerModel | StepAnswers, video: Path, task: Task | None) -> _Subject:
    from edge.features import video_features
    from models.runtime import load_encoder

    card = answering.card
    if card.encoder is None:
        raise UserFault(
            f"{video}: the model was trained on published features, which no video has; give --data"
        )
    if not holds(Path.is_file, video):  # a number would be a camera, which never ends
        raise UserFault(f"{video}: no such video file; a recording of a data set needs --data")
    features = video_features(video, load_encoder(card.encoder), rate_hz=card.rate_hz)
    duration_s = float(features.times_s[-1]) + 1 / card.rate_hz
    return _Subject(features, duration_s, task or answering.task)


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
