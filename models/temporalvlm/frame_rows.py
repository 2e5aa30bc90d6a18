"""The rows of the frame-wise comparison: which model each is, and how all of them are trained.

One thing differs from row to row; frames read, sizes, draws, steps and seeds are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.temporalvlm.causal_gru import CausalGRU
from models.temporalvlm.config import SMALL, SegmentationConfig, StepHeadConfig
from models.temporalvlm.frame_training import (
    FrameDraws,
    FrameLoss,
    FrameModel,
    frame_evidence,
)
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.timestamps import DigitTimestamps
from models.temporalvlm.video_crops import LabelledVideo, VideoCrops
from models.training.loop import LoopConfig, Precision, run_loop, seed_of

TEMPORALVLM_ROW = "TemporalVLM: BiLSTM, overlap, fusion"
TIMECHAT_ROW = "TimeChat: no overlap, no fusion, no aggregation"
CHANGES: dict[str, dict[str, object]] = {
    TEMPORALVLM_ROW: {},
    "aggregation: average pooling": {"aggregation": "average"},
    "aggregation: linear": {"aggregation": "linear"},
    "aggregation: LSTM": {"aggregation": "lstm"},
    "aggregation: Transformer": {"aggregation": "transformer"},
    "aggregation: minGRU, both ways": {"aggregation": "mingru"},
    "no overlap": {"overlap": 0},
    "no fusion": {"fusion": False},
    "no overlap, no fusion": {"overlap": 0, "fusion": False},
    "adaptive segments": {
        "segmentation": SMALL.segmentation.model_copy(update={"how": "adaptive"})
    },
    TIMECHAT_ROW: {
        "segmentation": SegmentationConfig(
            segments=1, frames=SMALL.segmentation.segments * SMALL.segmentation.frames
        ),
        "overlap": 0,
        "fusion": False,
        "aggregation": "none",
    },
}
GRU_ROW = "causal GRU"
FRAME_ROWS: tuple[str, ...] = (*CHANGES, GRU_ROW)


def frame_loop(seed: int, steps: int, precision: Precision = "float32") -> LoopConfig:
    """Return how every row is trained: chosen on the validation splits with TemporalVLM's row."""
    return LoopConfig(
        steps=steps,
        draws=1,
        learning_rate=1e-3,
        check_every=max(1, steps // 8),
        precision=precision,
        seed=seed,
    )


def build_row(row: str, *, feature_dim: int, text_dim: int, seed: int) -> FrameModel:
    """Build the model of a row with new weights; raise `KeyError` for a row that is none."""
    torch.manual_seed(seed_of("weights", seed))
    if row == GRU_ROW:
        return CausalGRU(
            segmentation=SMALL.segmentation,
            feature_dim=feature_dim,
            dim=2 * SMALL.dim,
            width=text_dim,
        )
    config = SMALL.model_copy(
        update={
            "language": None,
            "feature_dim": feature_dim,
            "step_head": StepHeadConfig(classifier="texts", width=text_dim),
            **CHANGES[row],
        }
    )
    return TemporalVLM(config, timestamps=DigitTimestamps(), language=None)


def train_row(
    row: str,
    *,
    train: Sequence[LabelledVideo],
    validation: Sequence[LabelledVideo],
    texts: Mapping[str, Tensor],
    loop: LoopConfig,
    folder: Path,
    about: Mapping[str, object],
    device: torch.device,
) -> Callable[[LabelledVideo], np.ndarray]:
    """Train a row in `folder`, or read the training that is finished there.

    Returns what maps a video to its frames' log probabilities (N, K). The best checkpoint is the
    one with the highest frame accuracy on the validation videos. `about` says what data this is
    (`run_loop`).
    """
    text_dim = next(iter(texts.values())).shape[1]
    model = build_row(
        row, feature_dim=train[0].features.shape[1], text_dim=text_dim, seed=loop.seed
    )
    module = FrameLoss(model, texts).to(device)  # the model too, in place
    num_segments, num_frames = model.segmentation.segments, model.segmentation.frames

    def evidence(video: LabelledVideo) -> np.ndarray:
        return frame_evidence(model, video, texts[video.task].to(device))

    def accuracy() -> float:
        hits = np.concatenate([evidence(v).argmax(axis=1) == v.labels for v in validation])
        return float(100 * hits.mean())

    run_loop(
        module,
        FrameDraws(VideoCrops(train, seed=loop.seed), model.segmentation).loss,
        loop,
        folder,
        about={
            "row": row,
            "frames": [num_segments, num_frames],
            "model": model.configuration(),
            **about,
        },
        validate=accuracy,
    )
    return evidence
