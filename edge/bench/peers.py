"""Other ways to do it, on the same file, model and machine.

The OpenCV loop is what most projects begin with: it reads every picture, scales every fifth and
encodes it, and decides nothing; so does the loop over Roboflow `supervision`'s frames, which reads
ahead in a thread as ours does. Both decode with as many threads as OpenCV likes. The third reads
as ours does, but encodes each window of 32 frames as a whole, as TimeChat and its kind do, and
decides with the same temporal model. Ours does all that a station does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from edge.bench.file_stream import run_pipeline
from edge.bench.measurement import Goal, Measurement, NotMeasured, Row, in_turns
from edge.bench.subject import Subject
from edge.cameras.read_ahead import AHEAD_FRAMES
from edge.cameras.sources import open_source
from industryasm.fault import UserFault
from models.runtime import Encoder, TemporalModel

GOAL = Goal("at least", 1.0)
EVERY = 5  # of 25 pictures a second


def peers(clip: Path, subject: Subject, encoder: Encoder, num_rounds: int) -> list[Row]:
    """Measure `clip` of 25 pictures a second; a peer that is not here is a row that says so."""
    num_frames = run_pipeline(clip, subject, encoder)

    def rate(work: Callable[[], object]) -> float:
        began_s = perf_counter()
        work()
        return num_frames / (perf_counter() - began_s)

    rows: list[Row] = []
    for key, what, peer in (
        ("ours_over_opencv_loop", "plain OpenCV loop", lambda: _opencv_loop(clip, encoder)),
        ("ours_over_supervision", "supervision's frames", lambda: _supervision(clip, encoder)),
        (
            "ours_over_windows_anew",
            "TimeChat-style, each window encoded anew",
            lambda: _windows_anew(clip, subject.model, encoder),
        ),
    ):
        what = f"one file through the whole edge / {what}"
        if key == "ours_over_supervision" and find_spec("supervision") is None:
            rows.append(NotMeasured(key, what, "supervision is not installed"))
            continue
        numbers = in_turns(
            lambda: rate(lambda: run_pipeline(clip, subject, encoder)),
            partial(rate, peer),
            num_rounds,
        )
        rows.append(Measurement(key, what, "frames/s", *numbers, GOAL))
    return rows


@contextmanager
def _opencv_threads() -> Iterator[None]:
    """Let OpenCV use as many threads as it likes; ours keeps it to one."""
    ours = cv2.getNumThreads()
    cv2.setNumThreads(-1)
    try:
        yield
    finally:
        cv2.setNumThreads(ours)


def _supervision(clip: Path, encoder: Encoder) -> None:
    frames = import_module("supervision").get_video_frames_generator(
        str(clip), stride=EVERY, prefetch=AHEAD_FRAMES
    )
    with _opencv_threads():
        for picture in frames:
            _encode(picture, encoder)


def _opencv_loop(clip: Path, encoder: Encoder) -> None:
    capture = cv2.VideoCapture(str(clip))
    if not capture.isOpened():
        raise UserFault(f"{clip}: OpenCV cannot open it")
    index = 0
    with _opencv_threads():
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            if index % EVERY == 0:
                _encode(picture, encoder)
            index += 1
    capture.release()


def _encode(picture: np.ndarray, encoder: Encoder) -> None:
    """Encode OpenCV's kind of picture, uint8 (H, W, 3) BGR."""
    small = cv2.resize(picture, (encoder.width, encoder.height))
    encoder.encode(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)[np.newaxis])


def _windows_anew(clip: Path, model: TemporalModel, encoder: Encoder) -> None:
    shape, size = model.card.chunk_shape(), (encoder.width, encoder.height)
    window: list[np.ndarray] = []
    num_new = 0
    with open_source(str(clip), rate_hz=model.card.rate_hz, size=size) as source:
        for frame in source:
            window = [*window[-shape.window + 1 :], frame.image]
            num_new += 1
            if num_new == shape.stride:
                _decide(window, model, encoder)
                num_new = 0
    if num_new:
        _decide(window, model, encoder)


def _decide(window: list[np.ndarray], model: TemporalModel, encoder: Encoder) -> None:
    shape = model.card.chunk_shape()
    view = np.zeros((shape.view, encoder.feature_dim), np.float32)
    present = np.arange(shape.view) < len(window)
    view[: len(window)] = encoder.encode(np.stack(window))
    model.decide(view, present, model.start())
