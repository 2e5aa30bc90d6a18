"""What a stride of 16 frames costs when features are kept, against encoding its window anew.

The window is recomputed as a TimeChat-style pipeline does it: all 32 frames through the encoder for
each stride, and then one decision. Both encode one picture at a time, on the same encoder; ours
decides every chunk, of which a stride has several.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from edge.bench.measurement import Goal, Measurement, in_turns
from edge.pipeline import StepStream
from models.runtime import Encoder, TemporalModel

MAX_OVERHEAD = 1.1


def incremental(
    images: np.ndarray, model: TemporalModel, encoder: Encoder, num_rounds: int
) -> Measurement:
    """Measure on sampled pictures uint8 (N, H, W, 3) RGB, used again and again."""
    shape = model.card.chunk_shape()
    kept, anew = _Kept(images, model, encoder), _Anew(images, model, encoder)
    numbers = in_turns(kept.stride_s, anew.stride_s, num_rounds)
    goal = Goal("at most", MAX_OVERHEAD * shape.stride / shape.window)
    what = f"a stride of {shape.stride} frames / its window of {shape.window} encoded anew"
    return Measurement("incremental_over_window", what, "s/stride", *numbers, goal)


class _Kept:
    """Our way: each frame is encoded once."""

    def __init__(self, images: np.ndarray, model: TemporalModel, encoder: Encoder) -> None:
        self._images, self._encoder = images, encoder
        self._card = model.card
        self._stream = StepStream(model)
        self._index = 0
        for _ in range(2):  # until each chunk that comes decides one
            self.stride_s()

    def stride_s(self) -> float:
        began_s = perf_counter()
        for _ in range(self._card.chunk_shape().stride):
            image = self._images[self._index % len(self._images)]
            feature = self._encoder.encode(image[np.newaxis])[0]
            self._stream.push(feature, self._index / self._card.rate_hz)
            self._index += 1
        return perf_counter() - began_s


class _Anew:
    """The yardstick: the window's frames are all encoded for each stride."""

    def __init__(self, images: np.ndarray, model: TemporalModel, encoder: Encoder) -> None:
        self._images, self._model, self._encoder = images, model, encoder
        self._shape = model.card.chunk_shape()
        self._first = 0

    def stride_s(self) -> float:
        began_s = perf_counter()
        shape = self._shape
        view = np.zeros((shape.view, self._encoder.feature_dim), np.float32)
        present = np.zeros(shape.view, bool)
        for place in range(shape.window):
            image = self._images[(self._first + place) % len(self._images)]
            view[place], present[place] = self._encoder.encode(image[np.newaxis])[0], True
        self._model.decide(view, present, self._model.start())
        self._first += shape.stride
        return perf_counter() - began_s
