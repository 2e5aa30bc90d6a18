"""Time-aware segment encoder: image Q-Former, sliding video Q-Former, fusion of their tokens.

`models/segment_encoder.py` is the edge's small streaming relative of this one: one token a frame
instead of queries, two windows at a time instead of whole segments.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.temporalvlm.config import TemporalVLMConfig
from models.temporalvlm.image_qformer import TimeAwareImageQFormer
from models.temporalvlm.timestamps import TimestampTokenizer, sentence
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_qformer import SlidingVideoQFormer


@dataclass(frozen=True)
class LocalFeatures:
    """What the segments of B videos show, each by itself.

    `frames` (B, C, T, D): each frame told its time and place, zero where not `present` (B, C, T);
    `tokens` (B, C, W, Q, D): the redundant sequence S, fused; zero where not `used` (B, C, W).
    """

    frames: Tensor
    present: Tensor
    tokens: Tensor
    used: Tensor


class Fusion(nn.Module):
    """Multi-head self-attention over the redundant tokens of one segment, added to them."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Fuse tokens (S, N, D) of which `mask` (S, N) are there; at least one of each segment."""
        normed = self.norm(tokens)
        fused, _ = self.attention(
            normed, normed, normed, key_padding_mask=~mask, need_weights=False
        )
        out: Tensor = tokens + fused * mask.unsqueeze(-1)
        return out


class TimeAwareSegmentEncoder(nn.Module):
    """Encodes every segment of every video by itself."""

    def __init__(self, config: TemporalVLMConfig) -> None:
        super().__init__()
        self.image_qformer = TimeAwareImageQFormer(
            config.image_qformer,
            dim=config.dim,
            feature_dim=config.feature_dim,
            vocabulary=config.timestamp_vocabulary,
            normalise=config.image_encoder is None,
        )
        video = config.video_qformer
        self.video_qformer = SlidingVideoQFormer(
            video,
            dim=config.dim,
            frames=config.segmentation.frames,
            window=config.window,
            overlap=config.overlap,
        )
        self.fusion = Fusion(config.dim, video.heads, video.dropout) if config.fusion else None

    def forward(self, videos: SegmentedVideos, timestamps: TimestampTokenizer) -> LocalFeatures:
        """Encode B videos of C segments of T frames."""
        there = videos.present.flatten(0, 1)  # (S, T) with S = B * C
        segments = self._read_frames(videos, timestamps).flatten(0, 1)
        placed = self.video_qformer.place(segments) * there[..., None, None]
        tokens, used = self.video_qformer(placed, there)
        if self.fusion is not None:
            tokens = self._fuse(self.fusion, tokens, used)
        batch = videos.present.shape[:2]
        return LocalFeatures(
            frames=placed.mean(dim=2).view(*batch, *placed.shape[1:2], -1),
            present=videos.present,
            tokens=tokens.view(*batch, *tokens.shape[1:]),
            used=used.view(*batch, -1),
        )

    def _read_frames(self, videos: SegmentedVideos, timestamps: TimestampTokenizer) -> Tensor:
        """Return (B, C, T, Q, D); only frames that are there are computed."""
        present = videos.present
        ids, mask = timestamps([sentence(t) for t in videos.times_s[present].tolist()])
        device = present.device
        read = self.image_qformer(videos.features[present], ids.to(device), mask.to(device))
        frames: Tensor = read.new_zeros((*present.shape, *read.shape[1:]))
        frames[present] = read
        return frames

    @staticmethod
    def _fuse(fusion: Fusion, tokens: Tensor, used: Tensor) -> Tensor:
        whole = used.any(dim=1)  # segments of padding have nothing to attend to
        mask = used[whole].repeat_interleave(tokens.shape[2], dim=1)
        fused = fusion(tokens[whole].flatten(1, 2), mask)
        out = tokens.new_zeros(tokens.shape)
        out[whole] = fused.view(-1, *tokens.shape[1:]).to(out.dtype)
        return out
