"""A blind camera is noticed and told; hands, light and noise are not taken for blindness."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras.picture_health import (
    FROZEN_AFTER_S,
    HOLD_S,
    HealthChange,
    PictureHealth,
    PictureState,
)
from edge.cameras.sources import open_source

Picture = NDArray[np.uint8]
Change = Callable[[Picture, float], Picture]
"""Makes another picture of a good one, given the seconds since the change began."""

BENCH_VIDEO = Path(__file__).resolve().parents[2] / "shared/data/video/bench/P016_balloon2.mp4"
RATE_HZ = 5.0
SIZE = 224
LEARNT_S = 40.0
SKIN = (200, 150, 125)


def bench() -> Picture:
    """Return a bench with boxes, parts and print on it, always the same."""
    random = np.random.default_rng(7)
    image = np.full((SIZE, SIZE, 3), (150, 140, 120), np.uint8)
    for _ in range(60):
        x, y, width, height = (
            int(value) for value in random.integers((0, 0, 8, 8), (200, 200, 40, 40))
        )
        colour = tuple(int(value) for value in random.integers(30, 230, 3))
        cv2.rectangle(image, (x, y), (x + width, y + height), colour, int(random.choice([-1, 2])))
    return cv2.GaussianBlur(image, (0, 0), 1).astype(np.uint8)


def watched(*, hands: bool = True, noise: float = 2.0) -> Iterator[Picture]:
    """Yield what a camera over the bench gives for ever: two hands at work, sensor noise."""
    empty, random, index = bench(), np.random.default_rng(3), 0
    field = random.normal(0, noise, (2 * SIZE, 2 * SIZE, 1))
    while True:
        image = empty.copy()
        for phase in (0.0, 2.0) if hands else ():
            angle = index / RATE_HZ * 0.7 + phase
            hand = (int(112 + 60 * np.sin(angle)), int(130 + 50 * np.cos(1.3 * angle)))
            cv2.line(image, (hand[0], SIZE), hand, SKIN, 30)
            cv2.circle(image, hand, 22, SKIN, -1)
        y, x = random.integers(SIZE, size=2)
        yield as_picture(image + field[y : y + SIZE, x : x + SIZE])
        index += 1


def as_picture(values: NDArray[np.floating]) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)


def show(
    health: PictureHealth, pictures: Iterator[Picture], seconds: float, *, start_s: float = 0.0
) -> list[HealthChange]:
    num = round(seconds * RATE_HZ)
    changes = [
        health.look(image, start_s + index / RATE_HZ)
        for index, image in enumerate(islice(pictures, num))
    ]
    return [change for change in changes if change]


@pytest.fixture(scope="module")
def used_to_the_bench() -> PictureHealth:
    health = PictureHealth(RATE_HZ)
    assert show(health, watched(), LEARNT_S) == []
    return health


def changed(change: Change) -> Iterator[Picture]:
    for index, image in enumerate(watched()):
        yield change(image, index / RATE_HZ)


def warped(*, degrees: float = 0, zoom: float = 1, right: float = 0, down: float = 0) -> Change:
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), degrees, zoom)
    matrix[:, 2] += (right, down)
    border = cv2.BORDER_REFLECT_101
    return lambda image, _: cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=border)  # type: ignore[return-value]


def covered(share: float, colour: tuple[int, int, int]) -> Change:
    mask = np.zeros((SIZE, SIZE, 1))
    mask[: round(share * SIZE)] = 1
    random = np.random.default_rng(5)
    field = random.normal(0, 2, (2 * SIZE, SIZE, 1))

    def cover(image: Picture, _: float) -> Picture:
        y = random.integers(SIZE)
        return as_picture(image * (1 - mask) + mask * (np.array(colour) + field[y : y + SIZE]))

    return cover


@pytest.mark.parametrize(
    ("reason", "change", "state"),
    [
        ("black", lambda image, _: np.full_like(image, 16), "dark"),
        ("lights off", lambda image, _: as_picture(image * 0.05), "dark"),
        ("far too bright", lambda image, _: as_picture(image * 4.0), "overexposed"),
        ("a hand on the lens", covered(1.0, SKIN), "occluded"),
        ("tape over most of it", covered(0.75, (60, 60, 65)), "occluded"),
        ("a white cloth over most of it", covered(0.75, (230, 230, 230)), "occluded"),
        ("far out of focus", lambda image, _: cv2.GaussianBlur(image, (0, 0), 14), "occluded"),
        ("shifted by 3 %", warped(right=0.03 * SIZE), "moved"),
        ("shifted by 10 %", warped(down=-0.10 * SIZE), "moved"),
        ("turned by 3 degrees", warped(degrees=3), "moved"),
        ("nearer", warped(zoom=1.08), "moved"),
        ("upside down", lambda image, _: np.ascontiguousarray(image[::-1]), "moved"),
    ],
)
def test_a_blind_camera_is_told_once_with_its_time_and_told_again_when_it_sees(
    used_to_the_bench: PictureHealth, reason: str, change: Change, state: PictureState
) -> None:
    health = copy.deepcopy(used_to_the_bench)
    told = show(health, changed(change), 25, start_s=LEARNT_S)
    assert [one.state for one in told] == [state], reason
    assert told[0].since_s == pytest.approx(LEARNT_S, abs=3.5)
    assert told[0].told_s >= told[0].since_s + HOLD_S[state]
    assert told[0].detail
    back = show(health, watched(), 20, start_s=LEARNT_S + 25)
    assert [one.state for one in back] == ["good"]
    assert back[0].told_s >= back[0].since_s + HOLD_S["good"]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("nothing", lambda image, _: image),
        ("light fades to half and comes back", lambda image, s: as_picture(image * (1 - s / 60))),
        ("half of the lamps go out at once", lambda image, _: as_picture(image * 0.5)),
        ("a window brightens it", lambda image, _: as_picture(image * 1.25 + 5.0)),
        ("an arm rests on a third of it", covered(0.33, SKIN)),
        ("half a percent of play in the mount", warped(right=0.005 * SIZE)),
        ("a little out of focus", lambda image, _: cv2.GaussianBlur(image, (0, 0), 1.5)),
        ("lights off for a moment", lambda image, s: image // (20 if 5 < s < 6.5 else 1)),
        (
            "somebody leans in",
            lambda image, s: covered(0.9, SKIN)(image, s) if 5 < s < 9 else image,
        ),
    ],
)
def test_work_light_and_small_play_tell_nothing(
    used_to_the_bench: PictureHealth, reason: str, change: Change
) -> None:
    health = copy.deepcopy(used_to_the_bench)
    assert show(health, changed(change), 30, start_s=LEARNT_S) == [], reason


def test_a_still_bench_with_sensor_noise_is_not_frozen() -> None:
    assert show(PictureHealth(RATE_HZ), watched(hands=False), 4 * FROZEN_AFTER_S) == []


def test_a_still_bench_that_changes_at_its_key_frames_only_is_not_frozen() -> None:
    def coded() -> Iterator[Picture]:
        for image in watched(hands=False):
            yield from [image] * 100  # 20 s without a changed byte

    assert show(PictureHealth(RATE_HZ), coded(), 100) == []


def test_the_same_bytes_for_long_are_frozen_since_the_first_of_them(
    used_to_the_bench: PictureHealth,
) -> None:
    health = copy.deepcopy(used_to_the_bench)
    still = next(islice(watched(), 7, None))
    told = show(health, iter([still] * 200), 40, start_s=LEARNT_S)
    assert [(one.state, one.since_s) for one in told] == [("frozen", LEARNT_S)]
    back = show(health, watched(), 10, start_s=LEARNT_S + 40)
    assert [(one.state, one.since_s) for one in back] == [("good", LEARNT_S + 40)]


def test_two_equal_pictures_across_an_outage_prove_nothing() -> None:
    health = PictureHealth(RATE_HZ)
    picture = bench()
    assert health.look(picture, 0.0) is None
    assert health.look(picture, 600.0) is None
    assert health.state == "good"


def test_another_size_of_the_cameras_pictures_is_told_and_goes_with_its_cause() -> None:
    health, told = PictureHealth(RATE_HZ), []
    for index, image in enumerate(islice(watched(), 100)):
        size = (1280, 720) if 20 <= index < 60 else (640, 480)
        change = health.look(image, index / RATE_HZ, None if index < 3 else size)
        told += [change] if change else []
    assert [(one.state, one.since_s) for one in told] == [("resized", 4.0), ("good", 12.0)]
    assert "1280x720, it was 640x480" in told[0].detail


def test_a_lens_covered_from_the_start_is_told_and_the_bench_is_learnt_afterwards() -> None:
    health = PictureHealth(RATE_HZ)
    told = show(health, changed(covered(1.0, SKIN)), 60)
    assert [one.state for one in told] == ["occluded"]
    assert [one.state for one in show(health, watched(), 80, start_s=60)] == ["good"]
    told = show(health, changed(warped(right=12)), 20, start_s=140)
    assert [one.state for one in told] == ["moved"]


def test_a_moved_camera_stays_moved(
    used_to_the_bench: PictureHealth,
) -> None:
    health = copy.deepcopy(used_to_the_bench)
    moved = changed(warped(right=11, down=-7))
    told = show(health, moved, 100, start_s=LEARNT_S)
    assert [one.state for one in told] == ["moved"]
    assert "+5% to the right, -3% down" in told[0].detail
    assert health.state == "moved"


def test_states_follow_each_other_without_a_good_one_between(
    used_to_the_bench: PictureHealth,
) -> None:
    health = copy.deepcopy(used_to_the_bench)
    told = show(health, changed(covered(1.0, SKIN)), 20, start_s=LEARNT_S)
    told += show(health, changed(lambda image, _: image // 20), 10, start_s=LEARNT_S + 20)
    assert [one.state for one in told] == ["occluded", "dark"]


@pytest.mark.parametrize(
    ("reason", "image"),
    [
        ("floats", np.zeros((SIZE, SIZE, 3))),
        ("grey", np.zeros((SIZE, SIZE), np.uint8)),
        ("four channels", np.zeros((SIZE, SIZE, 4), np.uint8)),
        ("empty", np.zeros((0, SIZE, 3), np.uint8)),
        ("not the first one's shape", np.zeros((96, 128, 3), np.uint8)),
    ],
)
def test_what_is_no_picture_of_this_stream_is_refused(reason: str, image: Picture) -> None:
    health = PictureHealth(RATE_HZ)
    health.look(bench(), 0.0)
    with pytest.raises(ValueError, match="image"):
        health.look(image, 0.2)


@pytest.mark.parametrize("time_s", [0.9, float("nan"), float("inf")])
def test_a_time_that_goes_back_or_is_none_is_refused(time_s: float) -> None:
    health = PictureHealth(RATE_HZ)
    health.look(bench(), 1.0)
    with pytest.raises(ValueError, match="time_s"):
        health.look(bench(), time_s)


@pytest.mark.parametrize("rate_hz", [0.0, -5.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="rate_hz"):
        PictureHealth(rate_hz)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_plain_pictures_of_any_brightness_make_no_warning_and_are_told(level: int) -> None:
    health = PictureHealth(RATE_HZ)
    pictures = (np.full((37, 51, 3), level, np.uint8) for _ in range(1000))
    assert (
        show(health, pictures, 100)[0].state
        == {0: "dark", 128: "frozen", 255: "overexposed"}[level]
    )


def test_memory_does_not_grow_with_the_stream() -> None:
    health, pictures = PictureHealth(RATE_HZ), list(islice(watched(), 50))
    held = []
    tracemalloc.start()
    for index in range(600):
        health.look(pictures[index % 50], index / RATE_HZ)
        if index in (100, 599):
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 20_000  # bytes; one picture more would be 150,528


@pytest.mark.skipif(not BENCH_VIDEO.is_file(), reason=f"{BENCH_VIDEO} is not on this machine")
def test_a_real_bench_tells_nothing_but_its_shift() -> None:
    health = PictureHealth(RATE_HZ)
    with open_source(str(BENCH_VIDEO), rate_hz=RATE_HZ, size=(SIZE, SIZE)) as source:
        images = [frame.image for frame in islice(source, 350)]
    assert show(health, iter(images), 50) == []
    shift = warped(right=0.04 * SIZE)
    told = show(health, (shift(image, 0) for image in images[250:]), 20, start_s=50)
    assert [one.state for one in told] == ["moved"]
