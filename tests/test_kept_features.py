"""Features computed from videos are kept, and computed anew where what is kept does not hold."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.frame import SourceError
from edge.features import FeatureStore
from industryasm.recording import DataSet, Recording, write_data_set
from tests.clip import write_clip

DIM = 3


class Shade:
    """An image encoder that tells how bright a picture is, and counts its pictures."""

    height = width = 8
    feature_dim = DIM
    runtime = "shade"
    on_gpu = False

    def __init__(self, sha256: str = "a" * 64, offset: float = 0.0) -> None:
        self.sha256, self.offset, self.num_seen = sha256, offset, 0

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.num_seen += len(images)
        return images.mean(axis=(1, 2)).astype(np.float32) + np.float32(self.offset)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    recording = Recording(
        id="unit",
        task="toy-car",
        task_revision=1,
        video="videos/unit.mp4",
        duration_s=4.0,
        station="s",
        camera="c",
        operator="o",
        annotator="a",
        review="draft",
        cycles=(),
        segments=(),
        deviations=(),
    )
    (tmp_path / "videos").mkdir()
    write_clip(tmp_path / "videos" / "unit.mp4", [i / 5 for i in range(20)])
    write_data_set(tmp_path, name="toys", splits={"train": [recording]})
    return DataSet(tmp_path)


def of(data: DataSet, encoder: Shade) -> tuple[np.ndarray, np.ndarray]:
    store = FeatureStore(data, encoder, name="shade", rate_hz=5.0)
    features = store.of(data.recording("unit"))
    return features.features, features.times_s


def kept_file(data: DataSet) -> Path:
    return data.folder / "features" / "shade-5hz" / "unit.npz"


def with_arrays(path: Path, **changed: np.ndarray | None) -> bytes:
    """Return the file's content with arrays changed, or left out where they are None."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files} | changed
    content = io.BytesIO()
    np.savez(content, **{name: array for name, array in arrays.items() if array is not None})
    return content.getvalue()


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


def test_features_that_hold_are_read_and_not_computed_again(data: DataSet) -> None:
    first, again = Shade(), Shade()
    features, times_s = of(data, first)
    assert first.num_seen == 20
    written = kept_file(data).stat().st_mtime_ns
    kept, kept_times_s = of(data, again)
    np.testing.assert_array_equal(kept, features)
    np.testing.assert_array_equal(kept_times_s, times_s)
    assert again.num_seen == 0
    assert kept_file(data).stat().st_mtime_ns == written


def test_features_that_do_not_hold_are_computed_anew(data: DataSet) -> None:
    features, times_s = of(data, Shade())
    path = kept_file(data)
    whole = path.read_bytes()
    holes = features.copy()
    holes[7, 1] = np.nan
    damaged = {
        "empty": b"",
        "cut": whole[:-4],
        "zeros": bytes(len(whole)),
        "one array alone": npy(),
        "written before it was told what they are of": with_arrays(path, made_of=None),
        "no times": with_arrays(path, times_s=None),
        "not finite": with_arrays(path, features=holes),
        "times not finite": with_arrays(path, times_s=np.full(20, np.inf)),
        "fewer features than times": with_arrays(path, features=features[:10]),
        "nothing": with_arrays(path, features=features[:0], times_s=times_s[:0]),
        "of another width": with_arrays(path, features=features[:, :2]),
        "words": with_arrays(path, features=np.full((20, DIM), "a")),
        "an object": with_arrays(path, times_s=np.array([{}], dtype=object)),
    }
    for what, content in damaged.items():
        path.write_bytes(content)
        encoder = Shade()
        again, again_times_s = of(data, encoder)
        assert encoder.num_seen == 20, what
        np.testing.assert_array_equal(again, features, err_msg=what)
        np.testing.assert_array_equal(again_times_s, times_s, err_msg=what)
        assert path.read_bytes() != content, what


@pytest.mark.parametrize("date_s", [1.7e9, None], ids=["older", "now"])
def test_another_video_under_the_same_name_is_noticed_by_whatever_date(
    data: DataSet, date_s: float | None
) -> None:
    """`cp -p`, `rsync -a` and archives keep the date that a file had elsewhere."""
    of(data, Shade())
    video = data.folder / "videos" / "unit.mp4"
    write_clip(video, [i / 5 for i in range(11)])
    if date_s is not None:
        os.utime(video, (date_s, date_s))
    features, times_s = of(data, Shade())
    assert len(features) == len(times_s) == 11


def test_features_of_another_encoder_of_the_same_name_are_not_taken(data: DataSet) -> None:
    features, _ = of(data, Shade())
    other, _ = of(data, Shade("b" * 64, offset=7.0))
    np.testing.assert_allclose(other, features + 7.0)


def test_a_video_that_is_gone_is_one_line_with_and_without_kept_features(data: DataSet) -> None:
    of(data, Shade())
    (data.folder / "videos" / "unit.mp4").unlink()
    for _ in range(2):
        with pytest.raises(SourceError, match=r"unit\.mp4: cannot be read") as raised:
            of(data, Shade())
        assert "\n" not in str(raised.value)
        kept_file(data).unlink(missing_ok=True)
