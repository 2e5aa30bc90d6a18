"""Global aggregation over the local features of all segments in temporal order.

The paper's is `bilstm`, h_t = [h_f; h_b]; `average`, `linear`, `lstm` and `transformer` are the
rows of its ablation, whose details it does not tell; `mingru` is ours; `none` is TimeChat's. All
map (B, N, D) to (B, N, D) and never look past a video's length.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.temporalvlm.config import AggregationName


def aggregation(
    name: AggregationName, *, dim: int, layers: int, heads: int, longest: int
) -> nn.Module:
    """Build the aggregation of that name: `module(tokens (B, N, D), lengths (B,)) -> (B, N, D)`.

    `longest` is how many tokens a full video has: recurrences begin with memories up to as long.
    """
    if name == "none":
        return NoAggregation()
    if name == "average":
        return Average()
    if name == "linear":
        return TokenLinear(dim)
    if name == "transformer":
        return Transformer(dim, layers, heads)
    if name == "mingru":
        return BidirectionalMinGRU(dim, longest)
    return Recurrent(dim, layers, longest, bidirectional=name == "bilstm")


def inside(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return bool (B, N): the places of tokens (B, N, D) before each row's length."""
    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]


class NoAggregation(nn.Module):
    """Leaves each local feature as it is."""

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        kept: Tensor = tokens * inside(tokens, lengths)[..., None]
        return kept


class Average(nn.Module):
    """Adds to each local feature the mean of all: global, but without order or parameters."""

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mask = inside(tokens, lengths)[..., None]
        mean = (tokens * mask).sum(dim=1, keepdim=True) / lengths[:, None, None]
        return tokens + mean


class TokenLinear(nn.Module):
    """Maps each local feature by itself: parameters, but nothing global."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mapped: Tensor = self.linear(tokens) * inside(tokens, lengths)[..., None]
        return mapped


class Recurrent(nn.Module):
    """LSTM of width D, or BiLSTM of width D / 2 each way, so that [h_f; h_b] is D wide."""

    def __init__(self, dim: int, layers: int, longest: int, *, bidirectional: bool) -> None:
        super().__init__()
        hidden = dim // 2 if bidirectional else dim
        self.lstm = nn.LSTM(dim, hidden, layers, batch_first=True, bidirectional=bidirectional)
        remember = _memories(hidden, longest)
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias_ih"):
                bias.data[: 2 * hidden] = torch.cat([-remember, remember])  # input, forget gate
            elif name.startswith("bias_hh"):
                bias.data[: 2 * hidden] = 0

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        # In the weights' own precision: oneDNN refuses to train an LSTM that autocast has halved.
        own = tokens.to(next(self.lstm.parameters()).dtype)
        packed = pack_padded_sequence(own, lengths.cpu(), batch_first=True, enforce_sorted=False)
        with torch.autocast(tokens.device.type, enabled=False):
            states, _ = pad_packed_sequence(
                self.lstm(packed)[0], batch_first=True, total_length=tokens.shape[1]
            )
        return states


class Transformer(nn.Module):
    """Self-attention over all tokens, each told its place in the video by sines."""

    def __init__(self, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, 4 * dim, 0.1, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        outside = ~inside(tokens, lengths)
        tokens = tokens + _sines(tokens)
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=outside)
        return tokens


class BidirectionalMinGRU(nn.Module):
    """minGRU each way (Feng et al., arXiv 2410.01201): gates that see no state, so no loop.

    h_t = (1 - z_t) h_{t-1} + z_t g(v_t), computed for all t at once by a scan of logarithms
    (the paper's appendix B; h_0 = 0).
    """

    def __init__(self, dim: int, longest: int) -> None:
        super().__init__()
        self.forward_gates = nn.Linear(dim, dim)  # update gate and candidate, D / 2 each
        self.backward_gates = nn.Linear(dim, dim)
        for gates in (self.forward_gates, self.backward_gates):
            gates.bias.data[: dim // 2] = -_memories(dim // 2, longest)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        ahead = _min_gru(self.forward_gates(tokens))
        flipped = _flip(tokens, lengths)
        back = _flip(_min_gru(self.backward_gates(flipped)), lengths)
        return torch.cat([ahead, back], dim=-1)


def _memories(hidden: int, longest: int) -> Tensor:
    """Return forget biases log t, for memories of t = 1 .. `longest` tokens (arXiv 1804.11188).

    Biases of zero would halve what is remembered with each token: gone within its own window.
    """
    return torch.linspace(1, max(2, longest - 1), hidden).log()


def _min_gru(gates: Tensor) -> Tensor:
    update, candidate = gates.float().chunk(2, dim=-1)
    keep = -functional.softplus(update)  # log(1 - z)
    # log z g(v), where g(v) is v + 1/2 above 0 and sigmoid(v) below: positive, so it has a log
    # The inner relu keeps the branch that is not taken from giving NaN gradients.
    log_g = torch.where(
        candidate >= 0, (functional.relu(candidate) + 0.5).log(), -functional.softplus(-candidate)
    )
    log_new = -functional.softplus(-update) + log_g
    kept = keep.cumsum(dim=1)
    states = (kept + torch.logcumsumexp(log_new - kept, dim=1)).exp()
    return states.to(gates.dtype)


def _flip(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Turn each row's tokens (B, N, D) before its length around; what is behind stays."""
    place = torch.arange(tokens.shape[1], device=tokens.device)[None]
    index = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)
    return tokens.gather(1, index[..., None].expand_as(tokens))


def _sines(tokens: Tensor) -> Tensor:
    """Return the sinusoidal places (N, D) of tokens (B, N, D) (arXiv 1706.03762, section 3.5)."""
    count, dim = tokens.shape[1:]
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000) / dim))
    angles = torch.arange(count)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(tokens)
