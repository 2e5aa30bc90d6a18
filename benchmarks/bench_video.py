"""Measures on a real bench video: trained on its first two thirds, streamed live on its last.

    python benchmarks/bench_video.py [--video FILE --labels FILE] [--json]

The last third goes over RTSP on loopback through the edge's own source, encoder, rolling window,
BiLSTM and the decoder that knows no order of steps, for gestures have none, in real time. Beside it
stand, fitted on the same features of the same looks at the training part: the majority class, a
linear probe of single frames, and one of the mean of +-1 s.
Nothing of the video is kept. Labels are lines `start end gesture` in frames, ends inclusive; the
gesture G0 is background.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "datasets"), str(ROOT / "tests")]

from rtsp_server import RtspServer  # noqa: E402  (the camera of the tests)

from edge.cameras.sources import open_source  # noqa: E402
from edge.evaluation.segmentation_table import score_table  # noqa: E402
from edge.evaluation.streamed import Evaluation, baseline_labels, score_systems  # noqa: E402
from edge.features import Features  # noqa: E402
from edge.pipeline import StepStream  # noqa: E402
from industryasm.segment import Segment, frame_labels  # noqa: E402
from industryasm.vocabulary import Step, Task  # noqa: E402
from models.card import ENCODER  # noqa: E402
from models.chunks import ChunkShape  # noqa: E402
from models.decoder import DecoderConfig, StreamDecoder  # noqa: E402
from models.encoder import FEATURE_DIM  # noqa: E402
from models.export import write_model  # noqa: E402
from models.runtime import Encoder, load_encoder, load_model  # noqa: E402
from models.step_network import StepNetworkShape  # noqa: E402
from models.training.frames import LabelledSequence, TrainingConfig, train  # noqa: E402

BENCH = ROOT.parent / "shared" / "data" / "video" / "bench"
RATE_HZ = 10.0
SOURCE_FPS = 30
NUM_LOOKS = 12  # differently cropped and lit copies of the training part
CONTEXT_S = 1.0


def main() -> int:
    """Run the measurement and print it; status 0 also when the video is not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=BENCH / "P016_balloon2.mp4")
    parser.add_argument("--labels", type=Path, default=BENCH / "P016_balloon2_steps_30fps.txt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for file in (options.video, options.labels):
        if not file.is_file():
            print(f"skipped: {file.name} is not on this machine (the set is not ours to ship)")
            return 0
    evaluation, dropped = measure(options.video, options.labels, seed=options.seed)
    if options.json:
        plain = asdict(evaluation) | {"dropped_frames": dropped, "commit": _commit()}
        print(json.dumps(plain, indent=1))
    else:
        print(score_table(evaluation))
        print(f"{dropped} frames dropped; commit {_commit()}, {time.strftime('%Y-%m-%d')}")
    return 0


def measure(video: Path, label_file: Path, *, seed: int) -> tuple[Evaluation, int]:
    """Return the scores of all systems on the last third, and the frames that the stream lost."""
    encoder = load_encoder(ENCODER)
    truth = _read_labels(label_file)
    task = _task(truth)
    images, times = _read_video(video, encoder)
    split_s = times[-1] * 2 / 3
    looks = _training_looks(encoder, images, times, split_s, seed)
    known = [frame_labels(truth, look.times_s.tolist()) for look in looks]
    network = train(
        _labelled(looks, known, task.labels()),
        StepNetworkShape(
            len(task.labels()),
            feature_dim=FEATURE_DIM,
            dim=64,
            hidden=64,
            dropout=0.5,
            chunk=ChunkShape(lookahead=5),
        ),
        TrainingConfig(
            epochs=16, batch=6, crop=192, weight_decay=0.1, feature_noise=0.3, seed=seed
        ),
    )
    grid = _sampled(times)
    judged = grid[times[grid] >= split_s]
    test_part = Features(_encode(encoder, images[judged]), times[judged])
    test_truth = frame_labels(truth, test_part.times_s.tolist())
    predicted = baseline_labels(
        looks,
        known,
        [test_part],
        labels=task.labels(),
        half_width=round(CONTEXT_S * RATE_HZ),
    )
    with TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        write_model(
            network,
            model,
            task=task,
            rate_hz=RATE_HZ,
            temperature=1.0,
            trained_on="the video's first two thirds",
            trained_with="benchmarks/bench_video.py",
            metrics={},
        )
        clip = Path(scratch) / "last-third.mp4"
        start_s = _write_clip(video, clip, split_s)
        segments, argmax, delays, dropped = _stream(clip, model, task, encoder)
    streamed = [Segment(s.start_s + start_s, s.end_s + start_s, s.label) for s in segments]
    at = [time_s + start_s for time_s, _ in argmax]
    nearest = [int(np.abs(np.array(at) - time_s).argmin()) for time_s in test_part.times_s]
    predicted["network, best label of each frame"] = [[argmax[i][1] for i in nearest]]
    predicted["linewatch, streamed over RTSP"] = [
        frame_labels(streamed, test_part.times_s.tolist())
    ]
    return score_systems(predicted, [test_truth], delays), dropped


def _read_labels(path: Path) -> list[Segment]:
    segments: list[Segment] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        start, end, gesture = line.split()
        if gesture != "G0":
            span = int(start) / SOURCE_FPS, (int(end) + 1) / SOURCE_FPS
            segments.append(Segment(*span, gesture.lower()))
    return segments


def _task(truth: list[Segment]) -> Task:
    """Word the gestures as a task whose steps may be done in any order, and again."""
    steps = tuple(
        Step(id=name, text=name, primitive="place", repeatable=True, expected_s=3, limit_s=600)
        for name in sorted({segment.label for segment in truth})
    )
    return Task(
        id="bench-video", name="Gestures", product="-", family="bench", parts=(), steps=steps
    )


def _read_video(video: Path, encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    """Return all frames (T, H, W, 3) a little larger than the encoder's, and their times (T,)."""
    size = (round(encoder.width * 8 / 7), round(encoder.height * 8 / 7))
    with open_source(str(video), rate_hz=SOURCE_FPS, size=size) as source:
        frames = [(frame.image, frame.time_s) for frame in source]
    return np.stack([image for image, _ in frames]), np.array([time_s for _, time_s in frames])


def _training_looks(
    encoder: Encoder,
    images: np.ndarray,
    times: np.ndarray,
    split_s: float,
    seed: int,
) -> list[Features]:
    """Encode the training part several times: other sampling phase, crop and light each time."""
    rng = np.random.default_rng(seed)
    stride = round(SOURCE_FPS / RATE_HZ)
    side = images.shape[1]
    looks: list[Features] = []
    for look in range(NUM_LOOKS):
        chosen = np.flatnonzero(times < split_s)[look % stride :: stride]
        crop = side if look < 2 else int(side * rng.uniform(0.86, 1.0))
        y, x = rng.integers(0, side - crop + 1, 2)
        gain, offset = (1.0, 0.0) if look < 2 else (rng.uniform(0.8, 1.2), rng.uniform(-15, 15))
        shown = images[chosen, y : y + crop, x : x + crop].astype(np.float32) * gain + offset
        features = _encode(encoder, np.clip(shown, 0, 255).astype(np.uint8))
        looks.append(Features(features, times[chosen]))
    return looks


def _labelled(
    looks: list[Features], known: list[list[str]], labels: tuple[str, ...]
) -> list[LabelledSequence]:
    index = {label: i for i, label in enumerate(labels)}
    return [
        LabelledSequence(look.features, np.array([index[name] for name in names]))
        for look, names in zip(looks, known, strict=True)
    ]


def _encode(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    size = (encoder.width, encoder.height)
    rows = [
        encoder.encode(
            np.stack(
                [cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in images[k : k + 16]]
            )
        )
        for k in range(0, len(images), 16)
    ]
    return np.concatenate(rows)


def _sampled(times: np.ndarray) -> np.ndarray:
    """Return the indices of the first frame at or after each sampling instant."""
    slots = np.floor((times + 1e-6) * RATE_HZ)
    return np.flatnonzero(np.diff(slots, prepend=-1) > 0)


def _write_clip(video: Path, clip: Path, split_s: float) -> float:
    """Encode the part from `split_s` on for the RTSP server; return its first frame's time."""
    first_s: float | None = None
    with av.open(str(video)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream("libx264", rate=SOURCE_FPS)
        shown = source.streams.video[0]
        stream.width, stream.height = shown.width, shown.height
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        stream.options = {"crf": "16", "bf": "0", "g": "30", "preset": "veryfast"}
        for frame in source.decode(shown):
            assert frame.time is not None
            if frame.time < split_s:
                continue
            first_s = frame.time if first_s is None else first_s
            frame.pts = round((frame.time - first_s) * 90_000)
            frame.time_base = Fraction(1, 90_000)
            frame.pict_type = 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    assert first_s is not None
    return first_s


def _stream(
    clip: Path, model: Path, task: Task, encoder: Encoder
) -> tuple[list[Segment], list[tuple[float, str]], list[float], int]:
    """Watch the clip live: segments, each frame's best label, delays in seconds, frames dropped."""
    temporal = load_model(model, task)
    steps = StepStream(temporal)
    decoder = StreamDecoder(temporal.card.labels, config=DECODER)
    segments: list[Segment] = []
    argmax: list[tuple[float, str]] = []
    delays: list[float] = []

    def take(rows: np.ndarray, times: np.ndarray, now_s: float) -> None:
        best = (temporal.card.labels[i] for i in rows.argmax(axis=1))
        argmax.extend(zip(times.tolist(), best, strict=True))
        new = decoder.push(rows, times) if len(times) else []
        segments.extend(new)
        delays.extend(now_s - segment.end_s for segment in new)

    size, now_s = (encoder.width, encoder.height), 0.0
    with av.open(str(clip)) as container:
        assert container.duration is not None
        end_s = container.duration / av.time_base
    with (
        RtspServer(clip) as server,
        open_source(server.url, rate_hz=RATE_HZ, size=size) as source,
    ):
        for frame in source:
            now_s = frame.time_s
            take(*steps.push(encoder.encode(frame.image[np.newaxis])[0], now_s), now_s)
            if now_s > end_s - 1.5 / RATE_HZ:
                break
        dropped = source.dropped
    take(*steps.close(), now_s)
    segments.extend(decoder.close())
    return segments, argmax, delays, dropped


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


# Gestures here last about a second, so frames count in full and a switch costs little. Chosen by
# training on one third and testing on the other, inside the first two thirds (docs/log.md).
DECODER = DecoderConfig(temper=1.0, switch_penalty=0.25, merge_gap_s=0.2, period_s=1 / RATE_HZ)


if __name__ == "__main__":
    sys.exit(main())
