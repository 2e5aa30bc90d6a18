"""LongVLM (arXiv 2404.03384): each segment's tokens merged by likeness, the mean in front.

```
video --segmentation--> C segments --merge the most alike, again and again--> K tokens a segment
      --mean over all frames--> global tokens
[global | segment 1 | ... | segment C] --projection--> language model
```
Known (ziplab/LongVLM, longvlm/model/merge.py, scripts/save_features.py, longvlm/train/train.py):
100 frames of CLIP ViT-L/14, 10 segments of 10 frames, 2560 patches of each merged to 30 tokens by
ToMe's bipartite soft matching, halving until the last round; the [CLS] tokens of the last 5 layers,
averaged over the frames, in front: 305 tokens. No token is told a time. One linear projection.

Ours: a frame has one ready feature instead of 256 patches and 25 layers, so a segment merges its
frames and there is one global token (P of each, where a frame has P); features pass a LayerNorm
without parameters, since they come in any scale; likeness is the cosine of whole features (theirs,
of the mean over heads); tokens stand in the order of their first frame (theirs, in that of the
matching); LoRA is trained beside the projection, as in the other systems here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from models.temporalvlm.config import PartName, SegmentationConfig
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.parts import freeze
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens


class LongVLM(VideoLanguageModel):
    """Shows a language model `segment_tokens` tokens a segment, behind the mean of the video."""

    def __init__(
        self,
        *,
        segmentation: SegmentationConfig,
        feature_dim: int,
        segment_tokens: int,
        language: LanguageModel | None,
        trained: Collection[PartName],
    ) -> None:
        super().__init__(
            "longvlm",
            segmentation=segmentation,
            feature_dim=feature_dim,
            dim=feature_dim,
            language=language,
            trained=trained,
        )
        self.segment_tokens = segment_tokens
        freeze(self, trained)

    def configuration(self) -> dict[str, Any]:
        """Return the settings, with the tokens of a segment."""
        return super().configuration() | {"segment_tokens": self.segment_tokens}

    def video_tokens(self, videos: SegmentedVideos) -> VideoTokens:
        """Return the global tokens, for the whole video, and then each segment's in order.

        A segment with fewer tokens than `segment_tokens` keeps them all.
        """
        self._check(videos)
        features = functional.layer_norm(videos.features, (self.feature_dim,))
        # One video and segment at a time: what is merged never depends on what stands beside it.
        rows = [
            self._tokens_of(*video)
            for video in zip(features, videos.times_s, videos.present, strict=True)
        ]
        tokens, start_s, end_s = (
            pad_sequence(list(column), batch_first=True) for column in zip(*rows, strict=True)
        )
        lengths = torch.tensor([len(row[0]) for row in rows], device=tokens.device)
        return VideoTokens(tokens, lengths, start_s, end_s)

    def _tokens_of(
        self, features: Tensor, times_s: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (N, D), starts and ends (N,) of one video, features (C, T, P, D)."""
        all_times = times_s[present]
        whole = features[present].mean(dim=0)  # (P, D)
        pieces = [(whole, all_times.amin().expand(len(whole)), all_times.amax().expand(len(whole)))]
        for frames, times, there in zip(features, times_s, present, strict=True):
            if there.any():
                per_frame = frames.shape[1]
                segment = frames[there].flatten(0, 1)
                pieces.append(
                    merged(segment, times[there].repeat_interleave(per_frame), self.segment_tokens)
                )
        tokens, start_s, end_s = (torch.cat(column) for column in zip(*pieces, strict=True))
        return tokens, start_s, end_s


def merged(tokens: Tensor, times_s: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor]:
    """Merge tokens (N, D) taken at times (N,) to at most `keep`, each the mean of its tokens.

    Returns them (K, D) with their first and last times (K,), in the order of the first.
    """
    group = merged_groups(tokens, keep)
    count = int(group.max()) + 1
    empty = times_s.new_zeros(count)
    start_s = empty.scatter_reduce(0, group, times_s, "amin", include_self=False)
    end_s = empty.scatter_reduce(0, group, times_s, "amax", include_self=False)
    return _means(tokens, group, count), start_s, end_s


@torch.no_grad()
def merged_groups(tokens: Tensor, keep: int) -> Tensor:
    """Return int64 (N,): which of at most `keep` groups each token belongs to.

    Each round halves at most, as in ToMe (arXiv 2210.09461), so a group grows over the rounds.
    Groups are numbered in the order of their first token.

    >>> merged_groups(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]), 2).tolist()
    [0, 0, 1, 1]
    """
    group = torch.arange(len(tokens), device=tokens.device)
    for merges in rounds(len(tokens), keep):
        means = _means(tokens.float(), group, int(group.max()) + 1)
        group = _matched(means, merges)[group]
    return group


def rounds(count: int, keep: int) -> list[int]:
    """Return how many tokens each round merges away, half of them at most.

    >>> rounds(2560, 30)  # the published list
    [1280, 640, 320, 160, 80, 40, 10]
    """
    merges = []
    while count > keep:
        merges.append(min(count - keep, count // 2))
        count -= merges[-1]
    return merges


def _matched(tokens: Tensor, merges: int) -> Tensor:
    """Return new groups (N,): the `merges` tokens at even places with the likest at odd ones."""
    unit: Tensor = functional.normalize(tokens, dim=-1)
    likeness, partner = (unit[::2] @ unit[1::2].T).max(dim=1)
    chosen = likeness.argsort(descending=True, stable=True)[:merges]
    place = torch.arange(len(tokens), device=tokens.device)
    into = place.clone()
    into[2 * chosen] = 2 * partner[chosen] + 1
    first = place.scatter_reduce(0, into, place, "amin")  # of each group, its first member
    numbered: Tensor = torch.unique(first[into], return_inverse=True)[1]
    return numbered


def _means(tokens: Tensor, group: Tensor, count: int) -> Tensor:
    sums = tokens.new_zeros(count, tokens.shape[1]).index_add(0, group, tokens)
    sizes = torch.bincount(group, minlength=count).to(tokens.dtype)
    return sums / sizes[:, None]
