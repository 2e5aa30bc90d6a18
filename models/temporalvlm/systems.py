"""The systems that are compared: TemporalVLM, TimeChat, LongVLM and VideoChat-Embed, by name.

All read the same number of frames of ready features, have Q-Formers of the same size, show about
the same number of tokens to the same language model through the same projection, and are trained
by the same loss. What differs is what the comparison is about:

```
                  segments  tokens at 288 frames                        order and time
temporalvlm       6 of 48   12 windows of 32 that overlap by 16, 8: 96  times, fusion, BiLSTM
timechat          1 of 288  9 windows of 32, 11 queries: 99             times
longvlm           12 of 24  1 and 8 a segment: 97                       order of segments
videochat-embed   1 of 288  48 parts, 2 queries: 96                     order of parts
```
docs/temporalvlm.md tells what is known of each and what is our choice.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from models.temporalvlm.config import (
    SMALL,
    PartName,
    SegmentationConfig,
    StepHeadConfig,
    SystemName,
    TemporalVLMConfig,
)
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.longvlm import LongVLM
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.timestamps import DigitTimestamps
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.videochat_embed import VideoChatEmbed

TEMPORALVLM_SEGMENTS = 6
LONGVLM_SEGMENTS = 12


def build_system(
    name: SystemName,
    *,
    feature_dim: int,
    frames: int,
    language: LanguageModel | None,
    tokens: int = 96,
    step_head: StepHeadConfig | None = None,
    trained: Collection[PartName] = SMALL.trained,
    size: TemporalVLMConfig = SMALL,
) -> VideoLanguageModel:
    """Build a system that reads `frames` frames of a video; cut it by the system's `segmentation`.

    It shows about `tokens` tokens of a full video, as near as its structure allows. `size` gives
    the sizes of Q-Formers, windows and fusion. TemporalVLM and TimeChat can have a step head, and
    need one without a language model. Raises `ValueError` for other systems with a step head and
    for frames that not all four could share out equally.
    """
    if name not in get_args(SystemName):
        raise ValueError(f"no system '{name}'; there are {', '.join(get_args(SystemName))}")
    if frames <= 0 or frames % LONGVLM_SEGMENTS:
        raise ValueError(
            f"frames {frames} must be a multiple of {LONGVLM_SEGMENTS}, so that every system "
            "reads as many"
        )
    if name == "temporalvlm" or name == "timechat":
        shape = _windowed_shape(name, size, frames=frames, tokens=tokens)
        config = TemporalVLMConfig.model_validate(
            {
                **shape,
                "feature_dim": feature_dim,
                "language": None if language is None else language.config,
                "step_head": step_head,
                "trained": frozenset(trained),
            }
        )
        return TemporalVLM(config, timestamps=DigitTimestamps(), language=language)
    if step_head is not None:
        raise ValueError(f"'{name}' has no step head; temporalvlm and timechat can have one")
    if name == "longvlm":
        return LongVLM(
            segmentation=SegmentationConfig(
                segments=LONGVLM_SEGMENTS, frames=frames // LONGVLM_SEGMENTS
            ),
            feature_dim=feature_dim,
            segment_tokens=_nearest(tokens - 1, LONGVLM_SEGMENTS),  # 1: the global token
            language=language,
            trained=trained,
        )
    return VideoChatEmbed(
        frames=frames,
        feature_dim=feature_dim,
        dim=size.dim,
        image_qformer=size.image_qformer,
        pools=_nearest(tokens, size.image_qformer.queries),
        language=language,
        trained=trained,
    )


def _windowed_shape(
    name: SystemName, size: TemporalVLMConfig, *, frames: int, tokens: int
) -> dict[str, object]:
    """Return `size` as the fields of a configuration with these frames and about these tokens."""
    segments = TEMPORALVLM_SEGMENTS if name == "temporalvlm" else 1
    cut = SegmentationConfig(segments=segments, frames=frames // segments)
    changes: dict[str, object] = {"name": name, "segmentation": cut}
    if name == "timechat":
        changes |= {"overlap": 0, "fusion": False, "aggregation": "none"}
    shape = size.model_copy(update=changes)
    video = shape.video_qformer.model_copy(
        update={"queries": _nearest(tokens, segments * shape.windows)}
    )
    return shape.model_copy(update={"video_qformer": video}).model_dump()


def _nearest(tokens: int, groups: int) -> int:
    """Return how many tokens of each group come nearest to `tokens` in all; at least one."""
    return max(1, round(tokens / groups))
