"""One image encoder for all cameras of a process: what arrives together is encoded together.

    camera's thread: encode(picture) -> waits --\\
    camera's thread: encode(picture) -> waits ---> one thread: batch -> features -> back to each

Whoever came first goes first, and a camera has one picture here at a time, so none is starved by
another. While a batch is encoded the next one gathers. When the encoder is idle, the first picture
waits on a GPU for those of the other cameras, at most `deadline_s`; ONNX Runtime on a processor
encodes them one by one as fast as together, and only loses the wait (docs/log.md, 2026-11-24).
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from time import monotonic

import numpy as np

from models.runtime import Encoder

_Request = tuple[np.ndarray, Future[np.ndarray], float]  # and when it came

MAX_BATCH = 16
GPU_DEADLINE_S = 0.005
"""Small beside the 0.2 s between two samples of a camera, long beside handing a picture over."""


class BatchingEncoder:
    """An `Encoder` that several threads may call at once; `num_clients` of them at most do.

    `num_batches` and `num_pictures` count what was encoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_clients: int,
        max_batch: int = MAX_BATCH,
        deadline_s: float | None = None,
    ) -> None:
        """Start the encoder's thread; raise `ValueError` for fewer than one client or picture.

        Without `deadline_s` it is `GPU_DEADLINE_S` on a GPU and nothing on a processor.
        """
        if deadline_s is None:
            deadline_s = GPU_DEADLINE_S if encoder.on_gpu else 0.0
        if num_clients < 1 or max_batch < 1 or deadline_s < 0:
            raise ValueError(f"clients {num_clients}, batch {max_batch}, deadline {deadline_s}")
        self.height, self.width = encoder.height, encoder.width
        self.feature_dim = encoder.feature_dim
        self.runtime, self.on_gpu = encoder.runtime, encoder.on_gpu
        self.num_batches = 0
        self.num_pictures = 0
        self._encoder = encoder
        self._enough = min(num_clients, max_batch)
        self._max_batch, self._deadline_s = max_batch, deadline_s
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Map pictures uint8 (B, height, width, 3) RGB to features float32 (B, D).

        Waits for its turn. What the encoder raises is raised here, for every picture of the batch;
        `RuntimeError` after `close`.
        """
        done: Future[np.ndarray] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the encoder is closed")
            self._waiting.append((images, done, monotonic()))
            self._changed.notify_all()
        return done.result()

    def close(self) -> None:
        """Encode what waits, then end the thread; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                features = self._encoder.encode(np.concatenate([images for images, _, _ in batch]))
            except Exception as error:  # for those who wait; the next batch may go well
                for _, done, _ in batch:
                    done.set_exception(error)
                continue
            self.num_batches += 1
            self.num_pictures += len(features)
            first = 0
            for images, done, _ in batch:
                done.set_result(features[first : first + len(images)])
                first += len(images)

    def _next_batch(self) -> list[_Request]:
        """Wait for a batch; an empty one is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._waiting:
                left_s = self._waiting[0][2] + self._deadline_s - monotonic()
                self._changed.wait_for(
                    lambda: len(self._waiting) >= self._enough or self._closed, max(0.0, left_s)
                )
            batch: list[_Request] = []
            num_pictures = 0
            while self._waiting:
                num_pictures += len(self._waiting[0][0])
                if batch and num_pictures > self._max_batch:
                    break
                batch.append(self._waiting.popleft())
            return batch
