"""One encoder for several cameras: right features to each, together, in turn, and no hang."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest

from edge.batching_encoder import BatchingEncoder


class Slow:
    """The mean of a picture, after a while; notes its batches and how many run at once."""

    height = width = 4
    feature_dim = 3
    runtime = "test"
    on_gpu = False

    def __init__(self, *, takes_s: float = 0.01) -> None:
        self.takes_s = takes_s
        self.batches: list[list[int]] = []
        self._running = threading.Lock()

    def encode(self, images: np.ndarray) -> np.ndarray:
        assert self._running.acquire(blocking=False), "two batches at once"
        self.batches.append(images[:, 0, 0, 0].tolist())
        time.sleep(self.takes_s)
        self._running.release()
        if (images == 255).any():
            raise OSError("the device is gone")
        return images.mean(axis=(1, 2)).astype(np.float32)


def picture(value: int, number: int = 1) -> np.ndarray:
    return np.full((number, 4, 4, 3), value, np.uint8)


def test_each_camera_gets_its_own_features_and_batches_hold_all_cameras() -> None:
    inner = Slow()
    encoder = BatchingEncoder(inner, num_clients=4, deadline_s=5.0)

    def camera(value: int) -> None:
        for turn in range(20):
            np.testing.assert_array_equal(
                encoder.encode(picture(value + turn)), np.full((1, 3), value + turn)
            )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(camera, (0, 50, 100, 150)))
    encoder.close()
    assert encoder.num_pictures == 80
    assert encoder.num_batches == len(inner.batches) == 20, "all four, each time"
    assert all(len({value // 50 for value in batch}) == 4 for batch in inner.batches)


def test_a_camera_that_stays_away_holds_nobody_up() -> None:
    inner = Slow(takes_s=0)
    encoder = BatchingEncoder(inner, num_clients=4, deadline_s=0.01)
    assert [encoder.encode(picture(i))[0, 0] for i in range(5)] == [0, 1, 2, 3, 4]
    encoder.close()
    assert inner.batches == [[0], [1], [2], [3], [4]]


def test_the_time_that_a_picture_waited_for_the_encoder_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = count(0.0, 100.0)  # at each look the deadline is over
    monkeypatch.setattr("edge.batching_encoder.monotonic", lambda: next(clock))
    encoder = BatchingEncoder(Slow(), num_clients=3, deadline_s=99.0)
    assert encoder.encode(picture(1))[0, 0] == 1
    encoder.close()


@pytest.mark.parametrize(("on_gpu", "batches"), [(True, 1), (False, 2)])
def test_only_a_gpu_waits_for_the_other_cameras(
    monkeypatch: pytest.MonkeyPatch, on_gpu: bool, batches: int
) -> None:
    monkeypatch.setattr("edge.batching_encoder.GPU_DEADLINE_S", 60.0)
    inner = Slow(takes_s=0)
    inner.on_gpu = on_gpu
    encoder = BatchingEncoder(inner, num_clients=2)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(encoder.encode, picture(1))
        if not on_gpu:
            first.result(60.0)
        encoder.encode(picture(2))
        first.result(60.0)
    encoder.close()
    assert len(inner.batches) == batches


def test_a_greedy_camera_starves_no_other() -> None:
    inner = Slow(takes_s=0.002)
    encoder = BatchingEncoder(inner, num_clients=3, max_batch=2, deadline_s=0.0)
    stop = threading.Event()

    def greedy(value: int) -> None:
        while not stop.is_set():
            encoder.encode(picture(value))

    with ThreadPoolExecutor(3) as threads:
        for value in (1, 2):
            threads.submit(greedy, value)
        mine = [encoder.encode(picture(3)) for _ in range(50)]
        stop.set()
    encoder.close()
    assert len(mine) == 50
    served = [value for batch in inner.batches for value in batch]
    places = [place for place, value in enumerate(served) if value == 3]
    # Between two of mine each other camera had two at most: one that waited, one that came since.
    assert max(np.diff(places)) <= 5


def test_batches_are_cut_at_their_limit_and_one_large_request_goes_alone() -> None:
    inner = Slow(takes_s=0.05)
    encoder = BatchingEncoder(inner, num_clients=8, max_batch=4, deadline_s=0.0)
    with ThreadPoolExecutor(8) as threads:
        sizes = (1, 3, 3, 6, 2, 2, 1)
        done = [threads.submit(encoder.encode, picture(i, size)) for i, size in enumerate(sizes)]
        assert [len(future.result()) for future in done] == list(sizes)
    encoder.close()
    assert all(len(batch) <= 4 or len(set(batch)) == 1 for batch in inner.batches)


def test_what_the_encoder_raises_reaches_those_who_wait_and_it_goes_on() -> None:
    encoder = BatchingEncoder(Slow(), num_clients=1)
    with pytest.raises(OSError, match="the device is gone"):
        encoder.encode(picture(255))
    assert encoder.encode(picture(7))[0, 0] == 7
    encoder.close()


def test_closing_serves_those_who_wait_and_refuses_the_others() -> None:
    encoder = BatchingEncoder(Slow(takes_s=0.1), num_clients=9, deadline_s=60.0)
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(encoder.encode, picture(i)) for i in range(3)]
        while len(encoder._waiting) < 3:
            time.sleep(0.001)
        encoder.close()
        assert [future.result()[0, 0] for future in done] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        encoder.encode(picture(1))
    encoder.close()


@pytest.mark.parametrize("wrong", [{"num_clients": 0}, {"max_batch": 0}, {"deadline_s": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="clients"):
        BatchingEncoder(Slow(), **{"num_clients": 1, **wrong})  # type: ignore[arg-type]
