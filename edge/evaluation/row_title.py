"""What a row of a comparison is called."""

from __future__ import annotations


def row_title(row: str, device: str) -> str:
    """Return a row's name in a table: what was not computed on a CPU tells its device.

    >>> row_title("causal GRU", "cpu"), row_title("causal GRU", "cuda")
    ('causal GRU', 'causal GRU, on cuda')
    """
    return row if device == "cpu" else f"{row}, on {device}"
