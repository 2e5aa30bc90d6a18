"""The one way in which a time is written, in training and in answers.

Times are written in seconds with exactly one decimal, "83.4". Why tenths:

- Published predecessors are coarser, or lose time on the way. VTimeLLM writes percent of the video
  in two digits (huangb23/VTimeLLM, vtimellm/eval/eval.py, `iou`: 6 s in a video of ten minutes);
  TimeChat and VTG-LLM write tenths but read minutes and seconds as whole seconds and a lone time as
  a span of 40 s around it (RenShuhuai-Andy/TimeChat, utils/format_dvc.py, `extract_time_part`).
- Every time that our data has is one of them: features at 1 and 5 per second, clips of 2 s. Where
  people annotated frames at 25 or 30 per second, tenths are off by at most 0.05 s, which is less
  than people differ by (`industryasm.inspection.agreement` tells by how much).
- Language models whose tokenizers split numbers into digits (LLaMA-2, arXiv 2307.09288, section
  2.2) pay one token for each digit, so a hundredth would cost two more tokens a span.

`read_time` takes what `write_time` gives and nothing else, so that both are exact inverses.
"""

from __future__ import annotations

import re

MAX_TIME_S = 99_999.9
"""Longest time that can be written, 27 hours: a bound for what a reader must look at."""
TIME_PATTERN = r"(?:0|[1-9][0-9]{0,4})\.[0-9]"
"""A written time, for use inside other patterns: ASCII digits, no sign, no leading zero."""

_TIME = re.compile(TIME_PATTERN)


class TimeTextError(ValueError):
    """A time that cannot be written, or a text that is no written time."""


def write_time(time_s: float) -> str:
    """Write a time, rounded to the nearest tenth; raise `TimeTextError` outside 0..MAX_TIME_S.

    >>> write_time(83.4), write_time(7), write_time(0.26)
    ('83.4', '7.0', '0.3')
    """
    if not 0 <= time_s <= MAX_TIME_S:
        raise TimeTextError(f"time {time_s} s is outside 0 to {MAX_TIME_S} s")
    return f"{abs(time_s):.1f}"  # abs: -0.0 is 0 too


def read_time(text: str) -> float:
    """Return the seconds of a written time; raise `TimeTextError` for any other text.

    >>> read_time("83.4")
    83.4
    """
    if not _TIME.fullmatch(text):
        raise TimeTextError(f"{text[:20]!r} is no time: write seconds with one decimal, as 83.4")
    return float(text)


def at_resolution(time_s: float) -> float:
    """Return the time that remains of `time_s` when it is written and read again."""
    return read_time(write_time(time_s))
