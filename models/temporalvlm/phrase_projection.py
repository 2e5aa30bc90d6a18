"""Video tokens into the language model's embeddings, as mixtures of phrases that it can read.

```
token --linear--> cosine to each phrase --softmax--> shares --times their word pieces--> shown
```
The paper's projection is linear and learns from 125 thousand answers to lie where words lie. Ours
is not far enough from a guess after a hundred: the same adapters that find 41 % of the steps (R@1
0.3) of IKEA ASM's validation split in the phrases that its tokens are nearest to, find 15 % in the
tokens themselves (docs/log.md, 2026-11-23). New phrases need no new weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PhraseProjection(nn.Module):
    """Shows tokens `dim` wide as phrases (P, token_dim), each by its share."""

    phrases: Tensor

    def __init__(self, dim: int, phrases: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, phrases.shape[1])
        self.log_scale = nn.Parameter(torch.tensor(3.4))  # cosines times 30 at the start
        self.register_buffer("phrases", phrases.float(), persistent=False)

    def log_shares(self, tokens: Tensor) -> Tensor:
        """Return the logarithm of each phrase's share of each token, (..., dim) -> (..., P)."""
        cosine = functional.normalize(self.linear(tokens), dim=-1) @ functional.normalize(
            self.phrases, dim=-1
        ).T.to(tokens)
        scaled: Tensor = cosine * self.log_scale.exp().clamp(max=100)
        return scaled.log_softmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., dim) to (..., token_dim)."""
        shares = self.log_shares(tokens).exp()
        return shares @ self.phrases.to(shares)
