"""Trains a video language model to answer questions about recordings, in two stages.

`alignment` first, then `language_training`; SmolLM2 starts with the adapters of `reader`. Each
stage is a training in the model's folder that goes on where it was stopped; a folder of another
training is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.answers.questions import questions
from edge.answers.reader import READER, start_reading
from edge.labelled_videos import LabelledSplits
from edge.machine import has_bf16
from industryasm.repairs import Repairs
from models.card import file_sha256
from models.language.examples import Example
from models.temporalvlm.config import SMALL, SMOLLM2_135M, LinesConfig, SystemName

if TYPE_CHECKING:
    import torch

    from models.temporalvlm.language_model import LanguageModel
    from models.temporalvlm.video_language_model import VideoLanguageModel
    from models.training.loop import Precision

ALIGNMENT, ANSWERS = "alignment", "answers"
ALIGNMENT_RATE, ANSWER_RATE = 4e-4, 3e-5
"""Learning rates. At 1e-3 TemporalVLM learns next to nothing on cooking (docs/log.md, 2026-11-23);
in the second stage the adapters can read already, and unlearn it at ten times the rate."""
VALIDATION_EXAMPLES = 12
CHECKS = 4
"""Of each stage: as a draw, a check of the second costs tens of seconds."""
VIDEO_TOKENS = 36
"""About so many lines are shown of a video (`LinesConfig`)."""

FRAMES = SMALL.segmentation.segments * SMALL.segmentation.frames


@dataclass(frozen=True)
class AnswerTraining:
    """What is trained, and for how long: `steps` of alignment and of language training."""

    system: SystemName
    times: bool
    """Whether the stretch that a video token stands for is written behind it."""
    steps: tuple[int, int]
    seed: int
    llama: Path | None = None
    """Folder of the language model; None is SmolLM2."""
    gradient_checkpointing: bool = False
    shard: bool = False
    """Whether the processes share the parameters of the second stage (FSDP2)."""

    @property
    def name(self) -> str:
        """The system's name, and whether it is told times as text."""
        return f"{self.system}, times as text" if self.times else self.system


def new_model(
    training: AnswerTraining,
    *,
    feature_dim: int,
    phrases: Sequence[str],
    cache: Path,
    device: torch.device,
) -> VideoLanguageModel:
    """Build the model of a training with new weights; SmolLM2 is kept in the folder `cache`.

    It tells the language model what it sees in `phrases`, those of the steps that it is trained on.
    Raises `LanguageModelError` for a folder that holds no language model.
    """
    import torch

    from models.temporalvlm.systems import build_system
    from models.training.loop import seed_of

    torch.manual_seed(seed_of("weights", training.seed))
    language = _language_model(training, cache, device)
    model = build_system(
        training.system,
        feature_dim=feature_dim,
        frames=FRAMES,
        tokens=VIDEO_TOKENS,
        language=language,
    )
    model.speak_in(phrases)
    return model.to(device)


def language_precision_on(device: torch.device) -> Precision:
    """Return what the language model computes in: bfloat16 where that is faster (twice, here)."""
    return "bfloat16" if device.type == "cuda" or has_bf16() else "float32"


def _language_model(training: AnswerTraining, cache: Path, device: torch.device) -> LanguageModel:
    import torch

    from models.temporalvlm.pretrained import llama, smollm2

    changes: dict[str, Any] = {
        "lines": LinesConfig(times=training.times),
        "gradient_checkpointing": training.gradient_checkpointing,
    }
    dtype = torch.bfloat16 if language_precision_on(device) == "bfloat16" else torch.float32
    if training.llama is None:
        config = SMOLLM2_135M.model_copy(update=changes)
        language = smollm2(config, cache=cache, dtype=dtype)
        start_reading(language, READER)
        return language
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
    from models.training.loop import LoopConfig, run_loop

    feature_dim = splits.videos["train"][0].features.shape[1]
    labels = {task: splits.phrases(task) for task in sorted(splits.tasks)}
    model = new_model(
        training,
        feature_dim=feature_dim,
        phrases=list(dict.fromkeys(chain.from_iterable(labels.values()))),
        cache=cache,
        device=device,
    )
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
            learning_rate=rate,
            check_every=max(1, steps // CHECKS),
            precision=language_precision_on(device),
            shard=shard,
            seed=training.seed,
        )
        for steps, shard, rate in zip(
            training.steps,
            (False, training.shard),
            (ALIGNMENT_RATE, ANSWER_RATE),
            strict=True,
        )
    )
    trained = model.trained
    freeze(model, trained - {"lora"})
    run_loop(
        AlignmentLoss(model, labels).to(device),
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
        about={
            "stage": ANSWERS,
            **about,
            "reader_sha256": file_sha256(READER) if training.llama is None else None,
        },
        validate=lambda: -mean_loss(model, judged, known),
    )
    return model


def _mixed(example: Example) -> int:
    from models.training.loop import seed_of

    return seed_of(example.recording_id, example.instruction)
