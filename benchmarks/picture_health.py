"""Measures which faults of a picture are noticed, which are made up, and what it costs.

    python benchmarks/picture_health.py [--rendered DIR ...] [--per-folder N] [--seeds N] [--freeze]

Recordings are played forward and back for as long as needed. Untouched, nothing may be told. Each
fault is planted in the pixels at a random moment after a minute, stays 45 s and goes again. The
cost is that of `look` against the shipped encoder on the same pictures in the same loop. `--freeze`
also encodes a still bench in H.264 and prints for how long its pictures stay the same byte by byte.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "datasets")]

from edge.cameras.picture_health import PictureHealth, PictureState  # noqa: E402
from edge.cameras.sources import open_source  # noqa: E402
from models.card import ENCODER  # noqa: E402
from models.runtime import load_encoder  # noqa: E402

VIDEO = ROOT.parent / "shared" / "data" / "video"
REAL = (VIDEO / "bench" / "P016_balloon2.mp4", VIDEO / "bottles.mp4", VIDEO / "blocks.mp4")
SIZE = 224
RATE_HZ = 5.0
UNTOUCHED_S, BEFORE_S, FAULT_S, AFTER_S = 600.0, 60.0, 45.0, 30.0

Picture = NDArray[np.uint8]
Spoil = Callable[[Picture, float], Picture]
"""Makes the faulty picture of a good one, given the seconds since the fault began."""
MakeFault = Callable[[np.random.Generator], Spoil]


@dataclass
class Tally:
    """What was told while one kind of fault was planted, over recordings and seeds."""

    num: int = 0
    right: int = 0
    other: int = 0
    recovered: int = 0
    delays_s: list[float] = field(default_factory=list)


def main() -> int:
    """Run the measurement and print its tables; status 0 also where no recording is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--per-folder", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--freeze", action="store_true")
    options = parser.parse_args()
    groups = {"real video": [file for file in REAL if file.is_file()]}
    groups["rendered"] = [
        file
        for folder in options.rendered
        for file in _spread(sorted(folder.glob("videos/*.mp4")), options.per_folder)
    ]
    for name, files in groups.items():
        if files:
            print_group(name, files, options.seeds)
        else:
            print(f"skipped: {name}: no recording is on this machine or was named\n")
    measured = groups["real video"] or groups["rendered"]
    if measured:
        print_cost(_read(measured[0]))
    if options.freeze:
        print_freeze(groups["real video"])
    print(f"commit {_commit()}, {time.strftime('%Y-%m-%d')}")
    return 0


def print_group(name: str, files: list[Path], num_seeds: int) -> None:
    """Print false alarms on untouched recordings, and how often each planted fault was told."""
    tallies = {fault: Tally() for fault in FAULTS}
    num_alarms = 0
    for number, file in enumerate(files):
        images = _read(file)
        num_alarms += _false_alarms(file, images)
        for seed in range(num_seeds):
            _plant_all(images, np.random.default_rng([seed, number]), tallies)
    print(
        f"{name}, untouched: {num_alarms} false alarms in {len(files)} x {UNTOUCHED_S:.0f} s\n\n"
        f"| {name}: fault | expected | told so | told as another | median delay | good again |\n"
        "|---|---|---|---|---|---|"
    )
    for fault, (expected, _) in FAULTS.items():
        tally = tallies[fault]
        delay = f"{np.median(tally.delays_s):.1f} s" if tally.delays_s else "-"
        told = f"{tally.right}/{tally.num}" if expected != "good" else "-"
        again = f"{tally.recovered}/{tally.right + tally.other}"
        row = (fault, expected, told, f"{tally.other}/{tally.num}", delay, again)
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def _false_alarms(file: Path, images: Picture) -> int:
    health, num_alarms = PictureHealth(RATE_HZ), 0
    for index, image in enumerate(islice(_to_and_fro(images), int(UNTOUCHED_S * RATE_HZ))):
        change = health.look(image, index / RATE_HZ)
        if change:
            num_alarms += change.state != "good"
            print(f"{file.name}: {change}")
    return num_alarms


def _plant_all(images: Picture, rng: np.random.Generator, tallies: dict[str, Tally]) -> None:
    stream = _to_and_fro(images)
    onset = int((BEFORE_S + rng.uniform(0, 60)) * RATE_HZ)
    healthy = PictureHealth(RATE_HZ)
    for index in range(onset):
        healthy.look(next(stream), index / RATE_HZ)
    ahead = [next(stream) for _ in range(int((FAULT_S + AFTER_S) * RATE_HZ))]
    for fault, (expected, make) in FAULTS.items():
        _plant(copy.deepcopy(healthy), ahead, onset, make(rng), expected, tallies[fault])


def _plant(
    health: PictureHealth,
    ahead: list[Picture],
    onset: int,
    spoil: Spoil,
    expected: PictureState,
    tally: Tally,
) -> None:
    told: dict[PictureState, float] = {}
    for index, image in enumerate(ahead):
        since_s = index / RATE_HZ
        shown = spoil(image, since_s) if since_s < FAULT_S else image
        change = health.look(shown, (onset + index) / RATE_HZ)
        if change and change.state != "good" and since_s < FAULT_S:
            told.setdefault(change.state, since_s)
    tally.num += 1
    if expected != "good" and expected in told:
        tally.right += 1
        tally.delays_s.append(told[expected])
    elif told:
        tally.other += 1
    tally.recovered += bool(told) and health.state == "good"


def _warp(make: Callable[[np.random.Generator], tuple[float, float, float, float]]) -> MakeFault:
    """Turn (degrees), zoom and shift (x, y as shares of the width) the view from now on."""

    def fault(rng: np.random.Generator) -> Spoil:
        degrees, zoom, right, down = make(rng)
        matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), degrees, zoom)
        matrix[:, 2] += (right * SIZE, down * SIZE)
        border = cv2.BORDER_REFLECT_101
        return lambda image, _: cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=border)

    return fault


def _shift(share: float) -> MakeFault:
    def direction(rng: np.random.Generator) -> tuple[float, float, float, float]:
        angle = rng.uniform(0, 2 * np.pi)
        return 0.0, 1.0, share * np.cos(angle), share * np.sin(angle)

    return _warp(direction)


def _turn(degrees: float) -> MakeFault:
    return _warp(lambda rng: (degrees * rng.choice([-1, 1]), 1.0, 0.0, 0.0))


def _zoom(factor: float) -> MakeFault:
    return _warp(lambda _: (0.0, factor, 0.0, 0.0))


def _cover(share: float, colour: tuple[int, int, int]) -> MakeFault:
    """Cover the picture from a random side, softly, with a little sensor noise."""

    def fault(rng: np.random.Generator) -> Spoil:
        mask = np.zeros((SIZE, SIZE), np.float32)
        mask[:, : round(SIZE * share)] = 1
        if share < 1:
            mask = cv2.GaussianBlur(mask, (0, 0), 6)
        mask = np.rot90(mask, rng.integers(4))[:, :, None]
        noise = _sensor(rng, 2)

        def spoil(image: Picture, _: float) -> Picture:
            cover = np.array(colour, np.float32) + noise()
            return _as_picture(image * (1 - mask) + cover * mask)

        return spoil

    return fault


def _blur(sigma: float) -> MakeFault:
    return lambda _rng: lambda image, _: cv2.GaussianBlur(image, (0, 0), sigma)


def _exposed(gain_at: Callable[[float], float]) -> MakeFault:
    """Multiply by a gain that may change with the seconds, under read-out noise."""

    def fault(rng: np.random.Generator) -> Spoil:
        noise = _sensor(rng, 2)
        return lambda image, since_s: _as_picture(image * np.float32(gain_at(since_s)) + noise())

    return fault


def _noise(sigma: float) -> MakeFault:
    def fault(rng: np.random.Generator) -> Spoil:
        noise = _sensor(rng, sigma)
        return lambda image, _: _as_picture(image + noise())

    return fault


def _sensor(rng: np.random.Generator, sigma: float) -> Callable[[], NDArray[np.float32]]:
    """Return what gives noise (SIZE, SIZE, 1), each time another part of one large field."""
    field_ = rng.normal(0, sigma, (SIZE + 100, SIZE + 100, 1)).astype(np.float32)

    def noise() -> NDArray[np.float32]:
        y, x = rng.integers(100, size=2)
        return field_[y : y + SIZE, x : x + SIZE]

    return noise


def _compressed(quality: int) -> MakeFault:
    def spoil(image: Picture, _: float) -> Picture:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return lambda _rng: spoil


def _frozen(_rng: np.random.Generator) -> Spoil:
    kept: list[Picture] = []

    def spoil(image: Picture, _: float) -> Picture:
        kept[1:] = []
        kept.append(image)
        return kept[0]

    return spoil


def _black(_rng: np.random.Generator) -> Spoil:
    return lambda image, _: np.full_like(image, 16)


def _turned_away(_rng: np.random.Generator) -> Spoil:
    return lambda image, _: np.ascontiguousarray(image[::-1])


def _as_picture(values: NDArray[np.float32]) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)


SKIN, DARK, WHITE = (200, 150, 125), (45, 40, 40), (230, 230, 230)
FAULTS: dict[str, tuple[PictureState, MakeFault]] = {
    "black": ("dark", _black),
    "lights off, 3 % left": ("dark", _exposed(lambda _: 0.03)),
    "exposure ramp up to 8x": ("overexposed", _exposed(lambda since_s: 1 + 7 * since_s / 30)),
    "frozen at a moment": ("frozen", _frozen),
    "shifted 3 %": ("moved", _shift(0.03)),
    "shifted 5 %": ("moved", _shift(0.05)),
    "shifted 10 %": ("moved", _shift(0.10)),
    "shifted 25 %": ("moved", _shift(0.25)),
    "turned 3 degrees": ("moved", _turn(3)),
    "zoomed 1.05": ("moved", _zoom(1.05)),
    "zoomed 1.1": ("moved", _zoom(1.1)),
    "turned away (upside down)": ("moved", _turned_away),
    **{
        f"covered {share:.0%}, {name}": ("occluded", _cover(share, colour))
        for share in (0.6, 0.8, 1.0)
        for name, colour in (("dark", DARK), ("skin", SKIN), ("white", WHITE))
    },
    "blurred, sigma 6 px": ("occluded", _blur(6)),
    "blurred, sigma 10 px": ("occluded", _blur(10)),
    "harmless: covered 30 %": ("good", _cover(0.3, SKIN)),
    "harmless: blurred, sigma 2 px": ("good", _blur(2)),
    "harmless: shifted 0.5 %": ("good", _shift(0.005)),
    "harmless: light to 40 % and back": (
        "good",
        _exposed(lambda since_s: 1 - 0.6 * float(np.sin(np.pi * min(since_s / FAULT_S, 1)))),
    ),
    "harmless: half the lamps off at once": ("good", _exposed(lambda _: 0.5)),
    "harmless: light 1.3 times": ("good", _exposed(lambda _: 1.3)),
    "harmless: JPEG quality 10": ("good", _compressed(10)),
    "harmless: noise, sigma 15": ("good", _noise(15)),
}


def print_cost(images: Picture) -> None:
    """Print the time of `look` against that of the encoder, taken in turn on the same pictures."""
    encoder, health = load_encoder(ENCODER), PictureHealth(RATE_HZ)
    looking, encoding = [], []
    for index, image in enumerate(islice(_to_and_fro(images), 600)):
        begin = time.perf_counter()
        health.look(image, index / RATE_HZ, (640, 480))
        middle = time.perf_counter()
        encoder.encode(image[np.newaxis])
        looking.append(middle - begin)
        encoding.append(time.perf_counter() - middle)
    share = np.median(looking) / np.median(encoding)
    mean_share = np.sum(looking) / np.sum(encoding)
    print(
        f"look {np.median(looking) * 1e3:.2f} ms against {encoder.runtime} "
        f"{np.median(encoding) * 1e3:.1f} ms a picture: {share:.1%} (medians), {mean_share:.1%} "
        "(means)\n"
    )


def print_freeze(files: list[Path]) -> None:
    """Print for how long a still bench stays byte-identical behind an H.264 encoder."""
    print("| still picture of | sensor noise | key frame every | longest byte-identical run |")
    print("|---|---|---|---|")
    for file in files[:2]:
        still = np.median(_read(file)[::5], axis=0).astype(np.float32)
        for noise in (0.0, 1.0, 2.0, 4.0):
            for key_s in (2, 5, 20):
                run_s = _identical_s(still, noise, key_s)
                print(f"| {file.stem} | {noise:.0f} | {key_s} s | {run_s:.1f} s |")
    print()


def _identical_s(still: NDArray[np.float32], noise: float, key_s: int, fps: int = 15) -> float:
    rng = np.random.default_rng(0)
    big = cv2.resize(still, (640, 480), interpolation=cv2.INTER_CUBIC)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "still.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "32", "g": str(key_s * fps)}
            for _ in range(45 * fps):
                image = _as_picture(big + noise * rng.standard_normal((480, 640, 1), np.float32))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        images = _read(path)
    longest = run = 0
    for before, after in pairwise(images):
        run = run + 1 if np.array_equal(before, after) else 0
        longest = max(longest, run)
    return longest / RATE_HZ


def _to_and_fro(images: Picture) -> Iterator[Picture]:
    while True:
        yield from images
        yield from images[-2:0:-1]


def _read(file: Path) -> Picture:
    with open_source(str(file), rate_hz=RATE_HZ, size=(SIZE, SIZE)) as source:
        return np.stack([frame.image for frame in source])


def _spread(files: list[Path], num: int) -> list[Path]:
    return files[:: max(len(files) // num, 1)][:num]


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
