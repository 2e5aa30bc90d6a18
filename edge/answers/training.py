"""Trains a video language model to answer questions about recordings, in two stages.

`alignment` first, then `language_training`. Each stage is a training in the model's folder that
goes on where it was stopped; a folder of another training is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.answers.questions import questions
from edge.labelled_videos import LabelledSplits
from industryasm.repairs import Repairs
from models.language.examples import Example
from models.temporalvlm.config import SMALL, SMOLLM2_135M, SystemName

if TYPE_CHECKING:
    import torch

    from models.temporalvlm.language_model import LanguageModel
    from models.temporalvlm.video_language_model import VideoLanguageModel

ALIGNMENT, ANSWERS = "alignment", "answers"
LEARNING_RATE = 1e-3
VALIDATION_EXAMPLES = 12
CHECKS = 4
"""Of each stage: as a draw, a check of the second costs tens of seconds."""
TIME_MARKS = 8
"""Video tokens between two times that are written as text: those of a window."""

FRAMES = SMALL.segmentation.segments * SMALL.segmentation.frames


@dataclass(frozen=True)
class AnswerTraining:
    """What is trained, and for how long: `steps` of alignment and of language training."""

    system: SystemName
    time_marks: int | None
    steps: tuple[int, int]
    seed: int
    llama: Path | None = None
    """Folder of the language model; None is SmolLM2."""
    gradient_checkpointing: bool = False
    shard: bool = False
    """Whether the processes share the parameters of the second stage (FSDP2)."""

    @property
    def name(self) -> str:
        """The system's name, and whether it writes times as text."""
        return self.system if self.time_marks is None else f"{self.system}, times as text"


def new_model(
    training: AnswerTraining, *, feature_dim: int, cache: Path, device: torch.device
) -> VideoLanguageModel:
    """Build the model of a training with new weights; SmolLM2 is kept in the folder `cache`.

    Raises `LanguageModelError` for a folder that holds no language model.
    """
    import torch

    from models.temporalvlm.systems import build_system
    from models.training.loop import seed_of

    torch.manual_seed(seed_of("weights", training.seed))
    language = _language_model(training, cache, device)
    model = build_system(training.system, feature_dim=feature_dim, frames=FRAMES, language=language)
    return model.to(device)


def _language_model(training: AnswerTraining, cache: Path, device: torch.device) -> LanguageModel:
    import torch

    from models.temporalvlm.pretrained import llama, smollm2

    changes: dict[str, Any] = {
        "time_marks": training.time_marks,
        "gradient_checkpointing": training.gradient_checkpointing,
    }
    if training.llama is None:
        return smollm2(SMOLLM2_135M.model_copy(update=changes), cache=cache)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return llama(training.llama, **changes, dtype=dtype)


def train_answers(
    training: AnswerTraining,
    splits: LabelledSplits,
    folder: Path,
    *,
    cache: Path,
    device: torch.device,
    repairs: Repairs,
) -> VideoLanguageModel:
    """Train in `folder`, or read what is trained there; the model has its best weights.

    What the questions about the validation split leave out is counted in `repairs`; splinters that
    a crop leaves of segments are not, since they are no fault of the data. Raises `TrainingError`
    for the folder of another training. A model whose parameters the processes shared stays so: read
    it from the folder.
    """
    from models.temporalvlm.alignment import AlignmentDraws, AlignmentLoss
    from models.temporalvlm.language_training import LanguageDraws, mean_loss
    from models.temporalvlm.parts import freeze
    from models.temporalvlm.video_crops import VideoCrops
    from models.training.loop import LoopConfig, precision_on, run_loop

    feature_dim = splits.videos["train"][0].features.shape[1]
    model = new_model(training, feature_dim=feature_dim, cache=cache, device=device)
    assert model.language is not None
    texts = {task: model.language.embed_texts(splits.phrases(task)) for task in splits.tasks}
    crops = VideoCrops(splits.videos["train"], seed=training.seed)
    about = {
        "system": training.name,
        "data": splits.name,
        "recordings": len(crops.videos),
        "data_sha256": splits.sha256,
        "model": model.configuration(),
    }
    first, second = (
        LoopConfig(
            steps=steps,
            learning_rate=LEARNING_RATE,
            check_every=max(1, steps // CHECKS),
            precision=precision_on(device),
            shard=shard,
            seed=training.seed,
        )
        for steps, shard in zip(training.steps, (False, training.shard), strict=True)
    )
    trained = model.trained
    freeze(model, trained - {"lora"})
    run_loop(
        AlignmentLoss(model, texts).to(device),
        AlignmentDraws(crops, model).loss,
        first,
        folder / ALIGNMENT,
        about={"stage": ALIGNMENT, **about},
    )
    freeze(model, trained)
    known = {video.name: video for video in splits.videos["validation"]}
    judged = sorted(questions(splits, "validation", repairs), key=_mixed)[:VALIDATION_EXAMPLES]
    run_loop(
        model,
        LanguageDraws(crops, splits.recordings, splits.tasks, model).loss,
        second,
        folder / ANSWERS,
        about={"stage": ANSWERS, **about},
        validate=lambda: -mean_loss(model, judged, known),
    )
    return model


def _mixed(example: Example) -> int:
    from models.training.loop import seed_of

    return seed_of(example.recording_id, example.instruction)
