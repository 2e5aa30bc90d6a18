"""A figure of a comparison as it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean_and_spread(values: Sequence[float]) -> str:
    """Write the mean over the seeds and, where there are several, their standard deviation.

    >>> mean_and_spread([50.0]), mean_and_spread([49.0, 51.0])
    ('50.0', '50.0 ±1.4')
    """
    mean = statistics.fmean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ±{statistics.stdev(values):.1f}"
