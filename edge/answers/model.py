"""A trained video language model in a folder, with a card, and questions that are put to it.

```
MODEL/card.json                  what it is: this module
MODEL/answers/best.safetensors   what was trained of it; the rest is its language model's
MODEL/scale.safetensors          mean and spread of the features that it was trained on
```
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.answers.questions import LONGEST_ANSWER
from edge.answers.reply import AnswerModelError, Reply, read_answer
from edge.answers.training import ANSWERS, AnswerTraining, new_model
from edge.features import Features
from edge.labelled_videos import FeatureScale, LabelledSplits
from industryasm.vocabulary import Identifier, Task
from models.card import Sha256, file_sha256
from models.language.instructions import Question, write_instruction
from models.temporalvlm.config import SystemName

if TYPE_CHECKING:
    from models.temporalvlm.video_language_model import VideoLanguageModel

CARD, SCALE, WEIGHTS = "card.json", "scale.safetensors", f"{ANSWERS}/best.safetensors"


class LocalLlama(BaseModel):
    """A language model of one's own: where it lies, and the name that tells its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    name: str


class AnswerCard(BaseModel):
    """What a model is: its system, its input, where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["answers"] = "answers"
    version: Literal[2] = 2
    """1 is of before 2026-11-23, with other prompts."""
    system: SystemName
    times: bool
    steps: tuple[int, int]
    seed: int
    encoder: Identifier | None
    rate_hz: Annotated[float, Field(gt=0, le=1000)]
    feature_dim: Annotated[int, Field(gt=0, le=65536)]
    vocabularies: dict[Identifier, Sha256]
    """The tasks it was trained on."""
    phrases: tuple[str, ...]
    """What it can say that it sees."""
    llama: LocalLlama | None = None
    """None is SmolLM2."""
    weights_sha256: Sha256
    scale_sha256: Sha256
    trained_on: str


def write_card(
    folder: Path, training: AnswerTraining, splits: LabelledSplits, model: VideoLanguageModel
) -> AnswerCard:
    """Make the folder of a finished training a model that can be asked."""
    from safetensors.numpy import save_file

    from models.whole_files import put_in_place

    scale = {"mean": splits.scale.mean, "spread": splits.scale.spread}
    part = folder / f"{SCALE}.part"
    save_file({name: values.astype(np.float32) for name, values in scale.items()}, part)
    put_in_place(part, folder / SCALE)
    llama = None
    if training.llama is not None:
        llama = LocalLlama(folder=training.llama.resolve(), name=_language(model))
    card = AnswerCard(
        system=training.system,
        times=training.times,
        steps=training.steps,
        seed=training.seed,
        encoder=splits.encoder,
        rate_hz=splits.rate_hz,
        feature_dim=len(splits.scale.mean),
        vocabularies={name: task.vocabulary_hash() for name, task in splits.tasks.items()},
        phrases=model.phrases,
        llama=llama,
        weights_sha256=file_sha256(folder / WEIGHTS),
        scale_sha256=file_sha256(folder / SCALE),
        trained_on=f"{splits.name}: {len(splits.videos['train'])} recordings, "
        f"{', '.join(sorted(splits.tasks))}",
    )
    part = folder / f"{CARD}.part"
    part.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    put_in_place(part, folder / CARD)
    return card


class AnswerModel:
    """A model that is asked about one video after the other."""

    task = None
    """It is not of one task; a step model is (`edge.answers.step_answers`)."""

    def __init__(self, card: AnswerCard, scale: FeatureScale, model: VideoLanguageModel) -> None:
        self.card = card
        self._scale = scale
        self._model = model.eval()

    def ask(
        self, question: Question, features: Features, *, task: Task | None, duration_s: float
    ) -> Reply:
        """Put a question to a video with features (N, D); the same question, the same reply.

        `task` names the steps of a segmentation. Raises `AnswerModelError` for features of other
        width, and for a segmentation without a task or by steps that it was not trained on.
        """
        from models.temporalvlm.video import segment_video
        from models.training.distributed import device_of

        if features.features.shape[1] != self.card.feature_dim:
            raise AnswerModelError(
                f"features of {features.features.shape[1]} numbers; the model was trained on "
                f"{self.card.feature_dim}: ask about a recording with such features"
            )
        if question.task == "segmentation":
            self._check_vocabulary(task)
        instruction = write_instruction(question)
        scaled = self._scale.apply(features.features)
        video, _ = segment_video(scaled, features.times_s, self._model.segmentation)
        video = video.to(device_of(self._model))
        longest = LONGEST_ANSWER[question.task]
        (answer,) = self._model.answer(
            video, [instruction], [question.query], max_new_tokens=longest
        )
        return Reply(instruction, answer, read_answer(question, answer, task, duration_s))

    def _check_vocabulary(self, task: Task | None) -> None:
        if task is None:
            raise AnswerModelError("a segmentation needs the task whose steps are looked for")
        known = self.card.vocabularies
        if task.id not in known:
            raise AnswerModelError(
                f"the model knows the steps of {', '.join(sorted(known))}, not of {task.id!r}; ask "
                "about such a recording, or train a model on that task with "
                "`linewatch train-answers`"
            )
        if known[task.id] != task.vocabulary_hash():
            raise AnswerModelError(
                f"the model was trained on other steps of task {task.id!r} than it has now; train "
                "it again with `linewatch train-answers`"
            )


def load_answer_model(folder: Path, *, cache: Path) -> AnswerModel:
    """Load a model and check its files; SmolLM2 is kept in the folder `cache`.

    Raises `AnswerModelError` where the folder holds none, or files that are not those of its card.
    """
    from safetensors.numpy import load_file

    from models.training.distributed import own_device
    from models.training.loop import TrainingError, load_weights

    card = read_card(folder)
    for name, sha256 in ((WEIGHTS, card.weights_sha256), (SCALE, card.scale_sha256)):
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise AnswerModelError(
                f"{folder / name}: is not the file that {CARD} tells of; train again with "
                "`linewatch train-answers`"
            )
    stored = load_file(folder / SCALE)
    scale = FeatureScale(stored["mean"], stored["spread"])
    llama = None if card.llama is None else card.llama.folder
    training = AnswerTraining(card.system, card.times, card.steps, card.seed, llama=llama)
    model = new_model(
        training,
        feature_dim=card.feature_dim,
        phrases=card.phrases,
        cache=cache,
        device=own_device(),
    )
    if card.llama is not None and _language(model) != card.llama.name:
        raise AnswerModelError(
            f"{card.llama.folder}: holds other files than when {folder} was trained with them "
            f"({_language(model)}, not {card.llama.name}); put those back, or train again"
        )
    try:
        load_weights(model, folder / WEIGHTS)
    except TrainingError as error:
        raise AnswerModelError(f"{error}; this version builds {card.system} otherwise") from error
    return AnswerModel(card, scale, model)


def _language(model: VideoLanguageModel) -> str:
    assert model.language is not None
    return model.language.config.name


def read_card(folder: Path) -> AnswerCard:
    """Read the card of a model that answers; raise `AnswerModelError` where there is none."""
    path = folder / CARD
    try:
        return AnswerCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AnswerModelError(
            f"{path}: cannot be read ({error.strerror}); train a model with "
            "`linewatch train-answers`"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise AnswerModelError(
            f"{path}: {place}: {first['msg']}; is it the folder of a model that answers?"
        ) from error
