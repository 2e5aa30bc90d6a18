"""Trainings that must come out the same in one process and in several.

`torchrun ... -m tests.training_cases OUT DRAWS CASE ...` does each into OUT/CASE with DRAWS draws a
process; the first time, `killed` kills its second process in the middle.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed import GradBucket

from models.training import distributed
from models.training.loop import LoopConfig, TrainingError, run_loop
from tests.tiny_training import Tiny, loss_of, rows_of, score_of

CONFIG = LoopConfig(steps=4, learning_rate=1e-3, check_every=2)
FEATURES, LABELS = 6, 5


def killed(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """Parameters that some draws do not use, and one process that dies in its first life."""

    def loss(module: nn.Module, draw: int) -> Tensor:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        if first and distributed.rank() == 1 and draw > 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss_of(module, draw)

    module = Tiny().to(device)
    config = replace(config, steps=6)
    run_loop(module, loss, config, folder, about={}, validate=score_of(module))


def spoiled(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """One process has a loss that is not finite: all stop."""

    def loss(module: nn.Module, draw: int) -> Tensor:
        return loss_of(module, draw) * (float("nan") if draw == 5 else 1)

    folder.mkdir(parents=True, exist_ok=True)
    try:
        run_loop(Tiny().to(device), loss, config, folder / "run", about={})
    except TrainingError as error:
        (folder / f"{distributed.rank()}.txt").write_text(str(error))


def averagings(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """Counts how often gradients are averaged in a step of three draws."""
    from torch.nn.parallel import DistributedDataParallel

    averaged = []

    def hook(state: object, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        averaged.append(bucket.index())
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    module = distributed.replicated(Tiny().to(device))
    assert isinstance(module, DistributedDataParallel)
    module.register_comm_hook(None, hook)
    for number in range(3):
        with distributed.accumulating(module, last=number == 2):
            module(rows_of(number).to(device), deep=True).sum().backward()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{distributed.rank()}.txt").write_text(str(len(averaged)))


def language_model(device: torch.device, *, gradient_checkpointing: bool = True) -> Any:
    """Return a TemporalVLM with a language model and a step head."""
    from models.temporalvlm.config import (
        QFormerConfig,
        SegmentationConfig,
        StepHeadConfig,
        TemporalVLMConfig,
    )
    from models.temporalvlm.language_model import LanguageModel
    from models.temporalvlm.model import TemporalVLM
    from models.temporalvlm.timestamps import DigitTimestamps
    from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama

    tiny = QFormerConfig(layers=2, heads=2, mlp_dim=32, queries=2, cross_attention_every=1)
    config = TemporalVLMConfig(
        name="tiny",
        segmentation=SegmentationConfig(segments=3, frames=10),
        image_encoder=None,
        feature_dim=FEATURES,
        timestamp_vocabulary=32,
        dim=16,
        image_qformer=tiny.model_copy(update={"cross_attention_every": 2}),
        window=4,
        overlap=2,
        video_qformer=tiny,
        language=LANGUAGE.model_copy(update={"gradient_checkpointing": gradient_checkpointing}),
        step_head=StepHeadConfig(classifier="texts", width=24),
    )
    torch.manual_seed(0)
    language = LanguageModel(config.language, tiny_llama(), byte_tokenizer())  # type: ignore[arg-type]
    return TemporalVLM(config, timestamps=DigitTimestamps(), language=language).to(device)


def _rows(seed: int, num_frames: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_frames, FEATURES)).astype(np.float32)


def videos_of(draw: int, device: torch.device) -> Any:
    """Return one video, cut for `language_model`."""
    from models.temporalvlm.config import SegmentationConfig
    from models.temporalvlm.video import segment_video

    rows = _rows(draw, 20 + draw % 3)
    segmentation = SegmentationConfig(segments=3, frames=10)
    cut, _ = segment_video(rows, np.arange(len(rows)) * 0.7, segmentation)
    return cut.to(device, torch.float32)


def frames(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """The step head's loss; the language model has no part in it."""
    from models.temporalvlm.frame_training import FrameLoss, cut_video
    from models.temporalvlm.video_crops import LabelledVideo, VideoCrops

    videos = [
        LabelledVideo(f"v{i}", "a", _rows(i, n), np.arange(n) * 0.5, np.arange(n) * LABELS // n)
        for i, n in enumerate((24, 40, 31))
    ]
    model = language_model(device)
    texts = torch.randn(LABELS, 24, generator=torch.Generator().manual_seed(1)).to(device)
    crops = VideoCrops(videos, seed=0)

    def loss(module: nn.Module, draw: int) -> Tensor:
        crop = crops.crop(draw).video
        cut, labels = cut_video(crop, model.segmentation)
        value: Tensor = module(cut.to(device, torch.float32), labels.to(device), crop.task)
        return value

    run_loop(FrameLoss(model, {"a": texts}), loss, config, folder, about={})


class Stop(Exception):  # noqa: N818
    """Ends a training between two steps."""


def language(
    folder: Path, config: LoopConfig, device: torch.device, *, stop_at: int | None = None
) -> None:
    """The language loss; the step head has no part in it."""
    model = language_model(device)

    def loss(module: nn.Module, draw: int) -> Tensor:
        if stop_at is not None and draw >= stop_at:
            raise Stop
        value: Tensor = module(videos_of(draw, device), ["When?"], [f"at {draw}.5 s"])
        return value

    def score() -> float:
        return -len(model.answer(videos_of(0, device), ["When?"], max_new_tokens=3)[0].text)

    run_loop(model, loss, config, folder, about={}, validate=score)


def sharded(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """The same with shared parameters, stopped after its first checkpoint and gone on with."""
    config = replace(config, shard=distributed.num_processes() > 1)
    with suppress(Stop):
        language(folder, config, device, stop_at=config.draws * distributed.num_processes() * 3)
    language(folder, config, device)


def sharded_frames(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """The step head's loss with shared parameters, but for the one that is a single number."""
    frames(folder, replace(config, shard=distributed.num_processes() > 1), device)


def half(folder: Path, config: LoopConfig, device: torch.device) -> None:
    """The language loss, computed in bfloat16."""
    language(folder, replace(config, precision="bfloat16"), device)


CASES: dict[str, Callable[[Path, LoopConfig, torch.device], None]] = {
    case.__name__: case
    for case in (killed, spoiled, averagings, frames, language, sharded, sharded_frames, half)
}


def main(out: Path, draws: int, names: list[str]) -> None:
    with distributed.start() as device:
        for name in names:
            CASES[name](out / name, replace(CONFIG, draws=draws), device)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
