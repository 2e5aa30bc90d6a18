"""VideoChat-Embed (arXiv 2305.06355): queries that read uniform frames, pooled, told no times.

```
video --uniform frames--> Q-Former, Q queries a frame --mean over the frames of each of R parts-->
R * Q tokens --projection
```
Known (OpenGVLab/Ask-Anything, video_chat: models/videochat_it.py, conversation.py, scripts/): 8
frames, EVA-CLIP ViT-g/14 whose added global blocks (UniFormerV2) mix the frames, BLIP-2's Q-Former
with 32 queries and 64 added ones that read all frames at once, one linear projection: 96 tokens.
The Q-Former sees no text and is frozen but for the added queries. No token is told a time; the demo
wrote the frames' times behind the video in the prompt.

Ours: ready features have nothing that mixes frames inside, so the queries read each frame by itself
and are averaged. One mean for the whole video would hide all order and be too easy to beat, so it
is taken over R equal parts. As many frames as the other systems, no times in the prompt, and the
Q-Former is trained, since none is pretrained at this size.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from models.temporalvlm.config import PartName, QFormerConfig, SegmentationConfig
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.parts import freeze
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_qformer import new_qformer
from models.temporalvlm.video_tokens import VideoTokens, packed, seen_stretch


class ImageQFormer(nn.Module):
    """Learned queries that read the tokens of one frame and nothing else (BLIP-2's)."""

    def __init__(self, config: QFormerConfig, *, dim: int, feature_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(feature_dim)  # ready features come in any scale
        self.queries = nn.Parameter(0.02 * torch.randn(1, config.queries, dim))
        self.qformer = new_qformer(config, dim=dim, reads=feature_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map frames (N, P, feature_dim) to (N, Q, dim)."""
        tokens: Tensor = self.qformer(
            query_embeds=self.queries.expand(len(features), -1, -1),
            encoder_hidden_states=self.norm(features),
        ).last_hidden_state
        return tokens


class VideoChatEmbed(VideoLanguageModel):
    """Shows a language model the Q queries' means over each of `pools` equal parts of a video."""

    def __init__(
        self,
        *,
        frames: int,
        feature_dim: int,
        dim: int,
        image_qformer: QFormerConfig,
        pools: int,
        language: LanguageModel | None,
        trained: Collection[PartName],
    ) -> None:
        super().__init__(
            "videochat-embed",
            segmentation=SegmentationConfig(segments=1, frames=frames),
            feature_dim=feature_dim,
            dim=dim,
            language=language,
            trained=trained,
        )
        self.pools = pools
        self._sizes = {"dim": dim, "image_qformer": image_qformer.model_dump(mode="json")}
        self.image_qformer = ImageQFormer(image_qformer, dim=dim, feature_dim=feature_dim)
        freeze(self, trained)

    def configuration(self) -> dict[str, Any]:
        """Return the settings, with the sizes of the Q-Former and the parts of a video."""
        return super().configuration() | {"pools": self.pools, **self._sizes}

    def parts(self) -> dict[PartName, nn.Module]:
        """Return the Q-Former and the projection."""
        return {"image_qformer": self.image_qformer, **super().parts()}

    def video_tokens(self, videos: SegmentedVideos) -> VideoTokens:
        """Return the pooled queries, part by part; a video of fewer frames has a part a frame."""
        self._check(videos)
        present = videos.present.flatten(1)  # (B, T)
        read = self.image_qformer(videos.features[videos.present])
        frames = read.new_zeros((*present.shape, *read.shape[1:]))
        frames[present] = read
        members = parts_of(present, self.pools)  # (B, R, T)
        share = members / members.sum(dim=2, keepdim=True).clamp(min=1)
        pooled = torch.einsum("brt,btqd->brqd", share.to(frames.dtype), frames)
        stretch = seen_stretch(videos.times_s.flatten(1)[:, None].expand(members.shape), members)
        queries = pooled.shape[2]
        there = members.any(dim=2).repeat_interleave(queries, dim=1)  # (B, R * Q)
        start_s, end_s = (
            packed(time_s.repeat_interleave(queries, dim=1), there) for time_s in stretch
        )
        tokens = packed(pooled.flatten(1, 2), there)
        return VideoTokens(tokens, there.sum(dim=1), start_s, end_s)


def parts_of(present: Tensor, parts: int) -> Tensor:
    """Return bool (B, R, T): which of `present` (B, T), prefixes, belong to which equal part.

    >>> parts_of(torch.tensor([[True, True, True, True, False]]), 2).int().tolist()
    [[[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]]
    """
    count = present.sum(dim=1, keepdim=True)
    place = torch.arange(present.shape[1], device=present.device)
    part = place * count.clamp(max=parts) // count.clamp(min=1)  # (B, T)
    wanted = torch.arange(parts, device=present.device)
    return (part[:, None] == wanted[:, None]) & present[:, None]
