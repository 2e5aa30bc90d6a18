"""Checks a recording's video and features against what its annotation says of them."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from industryasm.frame_times import FrameTimes, read_frame_times
from industryasm.inspection.problem import Problem
from industryasm.recording import Recording, RecordingError
from industryasm.regular_file import size_of_file

GAP_SPACINGS = 3.0  # a hole in the recording, not only a late frame
RATE_TOLERANCE = 0.01  # 29.97 for 30 is no difference worth telling, 25 for 24 is
GRID_TOLERANCE_S = 0.001  # Matroska and WebM round times to milliseconds
# What zipfile and NumPy raise for archives that are damaged, encrypted, of another method, or that
# ask for more memory than there is.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
MAX_FEATURE_BYTES = 4 * 2**30  # unpacked; two hours at 30 Hz of 4,096 float32 are 3.5 GB


def check_video(folder: Path, recording: Recording, file: str) -> Iterator[Problem]:
    """Yield where the video of `recording` is not what its annotation says; nothing without one."""
    if recording.video is None:
        return
    path = folder / recording.video
    try:
        if not is_there(path):
            raise RecordingError(f"{recording.video}: there is no such file")
        times = read_frame_times(path)
        size = _picture_size(path)
    except RecordingError as error:
        yield Problem("error", "video", file, "video", str(error))
        return
    spacing_s, rate_hz = _spacing_and_rate(times)
    if recording.width not in (None, size[0]) or recording.height not in (None, size[1]):
        said = f"{recording.width}x{recording.height}"
        yield Problem("error", "video", file, "width", f"{said}, the video is {size[0]}x{size[1]}")
    yield from _check_duration(recording, file, times, spacing_s)
    yield from _check_rate(recording, file, times, rate_hz)
    yield from _check_regularity(recording.video, times, spacing_s)
    yield from _check_grid(recording, file, times)


def is_there(path: Path) -> bool:
    """Tell whether there is a file of a name that an annotation gives, however long it is."""
    try:
        return path.is_file()
    except OSError:
        return False


def _picture_size(path: Path) -> tuple[int, int]:
    import av

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                return frame.width, frame.height
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(f"{path}: its first picture cannot be decoded: {error}") from error
    raise RecordingError(f"{path}: no picture in it can be decoded")


def _spacing_and_rate(times: FrameTimes) -> tuple[float, float | None]:
    """Return the median frame spacing in seconds, and the rate in Hz where frames follow on."""
    steps = np.diff(times.starts_s)
    if len(steps) == 0:
        return times.end_s, None
    spacing_s = float(np.median(steps))
    # The mean without the holes: times rounded to milliseconds make the median alone 2 % wrong.
    mean_s = float(steps[steps <= GAP_SPACINGS * spacing_s].mean())
    return spacing_s, 1 / mean_s if mean_s > 0 else None


def _check_duration(
    recording: Recording, file: str, times: FrameTimes, spacing_s: float
) -> Iterator[Problem]:
    excess_s = recording.duration_s - times.end_s
    if abs(excess_s) > max(spacing_s, GRID_TOLERANCE_S):
        word = "longer" if excess_s > 0 else "shorter"
        message = (
            f"{recording.duration_s:.3f} s is {abs(excess_s):.3f} s {word} than the video, "
            f"{times.end_s:.3f} s"
        )
        yield Problem("error", "video", file, "duration_s", message)


def _check_rate(
    recording: Recording, file: str, times: FrameTimes, rate_hz: float | None
) -> Iterator[Problem]:
    if recording.rate_hz is None or rate_hz is None:
        return
    if abs(rate_hz / recording.rate_hz - 1) > RATE_TOLERANCE:
        message = f"{recording.rate_hz:g}, the video has {rate_hz:.3f} frames a second"
        yield Problem("error", "video", file, "rate_hz", message)
        return
    expected = times.end_s * recording.rate_hz
    if abs(len(times) - expected) > max(1.5, RATE_TOLERANCE * expected):
        message = (
            f"the video has {len(times)} frames; {times.end_s:.3f} s at {recording.rate_hz:g} Hz "
            f"would be {expected:.0f}"
        )
        yield Problem("warning", "frame-count", file, "rate_hz", message)


def _check_regularity(video: str, times: FrameTimes, spacing_s: float) -> Iterator[Problem]:
    steps = np.diff(times.starts_s)
    holes = np.flatnonzero(steps > GAP_SPACINGS * spacing_s)
    if len(holes):
        longest = int(holes[np.argmax(steps[holes])])
        message = (
            f"{len(holes)} gaps of more than {GAP_SPACINGS:g} frame spacings ({spacing_s:.3f} s); "
            f"the longest is {steps[longest]:.3f} s, at {times.starts_s[longest]:.3f} s"
        )
        yield Problem("warning", "irregular-times", video, "", message)
    num_equal = int(np.count_nonzero(steps <= 0))
    if num_equal:
        message = f"{num_equal} frames have the time of the frame before them"
        yield Problem("warning", "irregular-times", video, "", message)


def _check_grid(recording: Recording, file: str, times: FrameTimes) -> Iterator[Problem]:
    spans = [*recording.segments, *recording.cycles, *recording.deviations]
    spans += [segment for track in recording.tracks for segment in track.segments]
    bounds = np.unique([time for span in spans for time in (span.start_s, span.end_s)])
    grid = np.append(times.starts_s, times.end_s)
    after = np.clip(np.searchsorted(grid, bounds), 1, len(grid) - 1)
    distances = np.minimum(np.abs(grid[after] - bounds), np.abs(bounds - grid[after - 1]))
    off = distances > GRID_TOLERANCE_S
    if off.any():
        worst = int(np.argmax(distances))
        message = (
            f"{np.count_nonzero(off)} of {len(bounds)} boundaries are not where a frame begins; "
            f"the furthest, at {bounds[worst]:.3f} s, is {distances[worst] * 1000:.0f} ms away"
        )
        yield Problem("warning", "boundary-off-grid", file, "", message)


def check_features(folder: Path, recording: Recording, file: str) -> Iterator[Problem]:
    """Yield what is wrong in the features file of `recording`; nothing where it has none."""
    if recording.features is None:
        return
    try:
        features, times_s = _read_features(folder / recording.features)
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        message = f"{recording.features}: cannot be read as features: {reason}"
        yield Problem("error", "features", file, "features", message)
        return
    for message in _feature_faults(features, times_s, recording.duration_s):
        yield Problem("error", "features", recording.features, "", message)


def _read_features(path: Path) -> tuple[np.ndarray, np.ndarray]:
    size_of_file(path)  # a pipe would be waited for
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_FEATURE_BYTES:
        raise ValueError(f"{size} bytes unpacked, the bound is {MAX_FEATURE_BYTES}")
    with np.load(path, allow_pickle=False) as arrays:
        features, times_s = arrays["features"], arrays["times_s"]
    if not (isinstance(features, np.ndarray) and isinstance(times_s, np.ndarray)):
        raise ValueError("features and times_s must be members that end in .npy")  # else bytes
    return features, times_s


def _feature_faults(features: np.ndarray, times_s: np.ndarray, duration_s: float) -> Iterator[str]:
    shapes = f"features {features.shape} {features.dtype}, times_s {times_s.shape} {times_s.dtype}"
    if features.ndim != 2 or times_s.shape != features.shape[:1] or not len(times_s):
        yield f"{shapes}: must be (T, D) and (T,), T at least 1"
        return
    if features.dtype.kind != "f" or times_s.dtype.kind not in "fiu":
        yield f"{shapes}: features must be floats, times_s numbers"
        return
    times_s = times_s.astype(np.float64)  # differences of numbers without a sign never fall
    if not np.isfinite(times_s).all() or (np.diff(times_s) <= 0).any():
        yield "times_s: must be finite and ascending"
        return
    num_bad = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if num_bad:
        yield f"{num_bad} of {len(features)} vectors hold a value that is not finite"
    spacing_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else duration_s
    first_s, last_s = float(times_s[0]), float(times_s[-1])
    if first_s > spacing_s or last_s < duration_s - 2 * spacing_s:
        yield f"times_s: {first_s:.3f} to {last_s:.3f} s do not cover 0 to {duration_s:.3f} s"
    if last_s >= duration_s + spacing_s:
        yield f"times_s: {last_s:.3f} s is after the recording's end, {duration_s:.3f} s"
