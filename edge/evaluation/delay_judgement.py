"""Judges frame-wise probabilities with the time at which each frame was labelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge.labelled_videos import LabelledSplits
from edge.pipeline import decoder_config
from industryasm.segment import frame_labels
from models.decoder import StreamDecoder
from models.metrics import SegmentationScore, background_rules

Arrival = Callable[[int], np.ndarray]
"""For a recording's number of frames: the index of the newest frame when each is labelled."""


@dataclass(frozen=True)
class DelayScore:
    """What one row gets on the test split; delays in seconds, None where it sees all the future.

    `decided_s` is the mean time from a frame until it is labelled; `given_median_s` and
    `given_p95_s` from a segment's end until the decoder gives it out.
    """

    best_labels: SegmentationScore
    segments: SegmentationScore
    decided_s: float | None
    given_median_s: float | None
    given_p95_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the scores in the form of JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> DelayScore:
        """Read what `as_dict` gave."""
        scores = {key: SegmentationScore(**plain[key]) for key in ("best_labels", "segments")}
        return cls(**{**plain, **scores})


def arrival(every: int, lookahead: int) -> Arrival:
    """Return the arrival of frames that are labelled `every` at once, with so many after them."""

    def newest(num_frames: int) -> np.ndarray:
        last = (np.arange(num_frames) // every + 1) * every - 1 + lookahead
        return np.minimum(last, num_frames - 1)

    return newest


def judge_delayed(
    rows: Mapping[str, np.ndarray], splits: LabelledSplits, arrives: Arrival | None
) -> DelayScore:
    """Judge the probabilities (T, K) of each recording of the test split by name.

    `arrives` None stands for those that are given when the recording has ended.
    """
    best: list[list[str]] = []
    given: list[list[str]] = []
    decided_s: list[float] = []
    given_s: list[float] = []
    videos = splits.videos["test"]
    for video in videos:
        names = splits.label_names(video.task)
        probabilities = rows[video.name]
        best.append([names[i] for i in probabilities.argmax(axis=1)])
        times = video.times_s
        newest = np.full(len(times), len(times) - 1) if arrives is None else arrives(len(times))
        labels, delays = _given_out(probabilities, times, newest, names, splits.rate_hz)
        given.append(labels)
        given_s += delays
        decided_s += (times[newest] - times).tolist()
    truth = [[splits.label_names(v.task)[i] for i in v.labels] for v in videos]
    is_live = arrives is not None and bool(given_s)
    return DelayScore(
        background_rules(predicted=best, truth=truth).ignored,
        background_rules(predicted=given, truth=truth).ignored,
        float(np.mean(decided_s)) if arrives is not None else None,
        float(np.median(given_s)) if is_live else None,
        float(np.quantile(given_s, 0.95)) if is_live else None,
    )


def _given_out(
    rows: np.ndarray, times_s: np.ndarray, newest: np.ndarray, names: Sequence[str], rate_hz: float
) -> tuple[list[str], list[float]]:
    """Return the labels of the segments that are given out, and each one's delay."""
    decoder = StreamDecoder(names, config=decoder_config(rate_hz))
    segments, delays = [], []
    for now in np.unique(newest):
        decided = newest == now
        for segment in decoder.push(rows[decided], times_s[decided]):
            segments.append(segment)
            delays.append(float(times_s[now]) - segment.end_s)
    segments += decoder.close()
    return frame_labels(segments, times_s.tolist()), delays
