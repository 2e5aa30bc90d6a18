"""What the frame-wise rows are trained on, by what loss, and in what they differ."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.temporalvlm.causal_gru import CausalGRU
from models.temporalvlm.config import SMALL, SegmentationConfig
from models.temporalvlm.frame_rows import (
    CHANGES,
    FRAME_ROWS,
    GRU_ROW,
    TEMPORALVLM_ROW,
    TIMECHAT_ROW,
    build_row,
    frame_loop,
)
from models.temporalvlm.frame_training import (
    IGNORED,
    LABEL_SMOOTHING,
    TRANSITION_WEIGHT,
    FrameDraws,
    FrameLoss,
    FrameModel,
    cut_video,
    frame_evidence,
)
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.video import SegmentedVideos
from models.temporalvlm.video_crops import LabelledVideo, VideoCrops
from tests.side_by_side import collate

WIDTH, TEXT_DIM = 5, 12
CUT = SegmentationConfig(segments=3, frames=4)


def video(name: str, num_frames: int, *, task: str = "a", labels: int = 3) -> LabelledVideo:
    """Frame i has i in its first feature, so that a crop's frames can be told."""
    features = np.random.default_rng(num_frames).normal(size=(num_frames, WIDTH))
    features[:, 0] = 1000 * np.arange(num_frames)
    times_s = 0.2 + np.arange(num_frames) * 0.5
    of_frames = np.arange(num_frames) * labels // num_frames
    return LabelledVideo(name, task, features.astype(np.float32), times_s, of_frames)


def texts(number: int, seed: int = 0) -> Tensor:
    return torch.randn(number, TEXT_DIM, generator=torch.Generator().manual_seed(seed))


@cache
def row(name: str, seed: int = 0) -> Any:
    """Return a new row, not to be trained: it serves other tests."""
    model: Any = build_row(name, feature_dim=WIDTH, text_dim=TEXT_DIM, seed=seed)
    return model.eval()


class Fixed(nn.Module):
    """Gives the same logits whatever it sees."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.segmentation = CUT
        self.logits = logits

    def step_logits(self, videos: SegmentedVideos, texts: Tensor) -> Tensor:
        assert self.logits.shape == (*videos.present.shape, len(texts))
        return self.logits


# --- crops


def test_the_number_of_a_draw_says_what_is_drawn() -> None:
    videos = [video("x", 30), video("y", 41)]
    one, same, other = (VideoCrops(videos, seed=seed) for seed in (7, 7, 8))
    for number in (5, 0, 5, 3):  # in any order
        ours, theirs = one.crop(number), same.crop(number)
        assert (ours.video.name, ours.start_s, ours.end_s) == (
            theirs.video.name,
            theirs.start_s,
            theirs.end_s,
        )
        np.testing.assert_array_equal(ours.video.features, theirs.video.features)
    parts = [[crops.crop(n).start_s for n in range(8)] for crops in (one, other)]
    assert parts[0] != parts[1]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_video_comes_once_before_any_comes_again(number: int) -> None:
    videos = [video(f"v{i}", 10 + i) for i in range(number)]
    crops = VideoCrops(videos, seed=0)
    turns = [[crops.crop(t * number + i).video.name for i in range(number)] for t in range(6)]
    assert all(sorted(turn) == [v.name for v in videos] for turn in turns)
    if number == 5:
        assert len({tuple(turn) for turn in turns}) > 1


def test_a_crop_is_a_half_or_more_of_its_video_told_from_its_own_start() -> None:
    whole = video("x", 40)
    crops = VideoCrops([whole], seed=0)
    quiet = VideoCrops([whole], seed=0)
    quiet._spread = np.zeros(WIDTH)
    lengths = set()
    for number in range(30):
        crop, clean = crops.crop(number), quiet.crop(number)
        got = clean.video
        first = round(float(got.features[0, 0]) / 1000)
        inside = slice(first, first + len(got.labels))
        lengths.add(len(got.labels))
        np.testing.assert_array_equal(got.features, whole.features[inside])
        np.testing.assert_array_equal(got.labels, whole.labels[inside])
        assert got.times_s[0] == 0
        np.testing.assert_allclose(got.times_s + crop.start_s, whole.times_s[inside])
        # The last frame lasts as long as the others.
        assert crop.end_s == pytest.approx(whole.times_s[inside][-1] + 0.5)
        noise = (crop.video.features - got.features) / whole.features.std(axis=0)
        assert 0.05 < noise.std() < 0.15
        assert crop.video.features.dtype == np.float32
    assert 20 <= min(lengths) < max(lengths) <= 40


def test_a_video_of_one_frame_is_its_own_crop_and_lasts_to_its_end() -> None:
    crop = VideoCrops([video("x", 1, labels=1)], seed=0).crop(3)
    assert crop.video.features.shape == (1, WIDTH)
    assert crop.video.times_s.tolist() == [0]
    assert (crop.start_s, crop.end_s) == (0.2, math.inf)


def test_nothing_to_draw_from_and_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="no videos to train on"):
        VideoCrops([], seed=0)
    for frames, times, labels in ((3, 2, 3), (3, 3, 2), (0, 0, 0)):
        with pytest.raises(ValueError, match="odd: features"):
            LabelledVideo(
                "odd",
                "a",
                np.zeros((frames, WIDTH), np.float32),
                np.arange(times) * 1.0,
                np.zeros(labels, np.int64),
            )


# --- loss


def test_the_loss_is_cross_entropy_and_the_change_between_neighbours() -> None:
    logits = torch.randn(1, 3, 4, 3, generator=torch.Generator().manual_seed(1)) * 4
    cut, labels = cut_video(video("x", 11), CUT)
    got = FrameLoss(Fixed(logits), {"a": texts(3)})(cut, labels, "a")
    rows = torch.log_softmax(logits[0], dim=-1)
    likelihoods, changes = [], []
    for segment in range(3):
        there = [t for t in range(4) if labels[0, segment, t] != IGNORED]
        for t in there:
            own = rows[segment, t, labels[0, segment, t]]
            likelihoods.append(
                (1 - LABEL_SMOOTHING) * own + LABEL_SMOOTHING * rows[segment, t].mean()
            )
            if t:
                change = (rows[segment, t] - rows[segment, t - 1]).abs().clamp(max=4)
                changes += change.square().tolist()
    assert len(likelihoods) == 11
    expected = -torch.stack(likelihoods).mean() + TRANSITION_WEIGHT * np.mean(changes)
    torch.testing.assert_close(got, expected.to(torch.float32))


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5, 11, 12, 30])
def test_what_is_not_there_has_no_part_in_the_loss(num_frames: int) -> None:
    """Also videos of which no segment has two frames, and so no neighbours."""
    cut, labels = cut_video(video("x", num_frames), CUT)
    assert (labels == IGNORED).equal(~cut.present)
    padded = collate([cut, cut_video(video("y", 60), CUT)[0]])
    padded = SegmentedVideos(padded.features[:1], padded.times_s[:1], padded.present[:1])
    more = padded.present.shape[1] - labels.shape[1]
    wide_labels = functional.pad(labels, (0, 0, 0, more), value=IGNORED)
    logits = torch.randn(1, 3, 4, 3)
    losses = []
    for filler in (0.0, 7.0, -300.0):
        spoiled = torch.where(padded.present[..., None], logits, filler * torch.arange(3.0))
        spoiled.requires_grad_(True)
        loss = FrameLoss(Fixed(spoiled), {"a": texts(3)})(padded, wide_labels, "a")
        (gradient,) = torch.autograd.grad(loss, spoiled)
        assert not gradient[~padded.present].any()
        assert gradient[padded.present].any(dim=-1).all()
        losses.append(float(loss.detach()))
    assert losses == [pytest.approx(losses[0])] * 3
    assert math.isfinite(losses[0])


@pytest.mark.parametrize("name", [TEMPORALVLM_ROW, GRU_ROW])
def test_the_loss_falls_on_what_it_is_trained_on(name: str) -> None:
    model: Any = build_row(name, feature_dim=WIDTH, text_dim=TEXT_DIM, seed=0)
    of = {"a": texts(3), "b": texts(6, seed=1)}
    draws = FrameDraws(
        VideoCrops([video("x", 24), video("y", 30, task="b", labels=6)], seed=0),
        model.segmentation,
    )
    loss = FrameLoss(model, of).eval()
    optimiser = torch.optim.AdamW(loss.parameters(), lr=3e-3)
    losses = []
    for draw in range(10):
        optimiser.zero_grad()
        value = draws.loss(loss, draw)
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


# --- evidence


@pytest.mark.parametrize("num_frames", [1, 5, 12, 29])
def test_evidence_of_every_frame_is_that_of_the_nearest_one_read(num_frames: int) -> None:
    one = video("x", num_frames)
    cut, _ = cut_video(one, CUT)
    logits = torch.randn(*cut.present.shape, 3)
    got = frame_evidence(Fixed(logits), one, texts(3))
    assert got.shape == (num_frames, 3)
    np.testing.assert_allclose(np.exp(got).sum(axis=1), 1, rtol=1e-5)
    read = (cut.features[..., 0, 0] / 1000).round()
    for frame in range(num_frames):
        away = (read - frame).abs().masked_fill(~cut.present, torch.inf)
        nearest = (away == away.min()).nonzero()[0]  # the earlier of two
        expected = torch.log_softmax(logits[tuple(nearest)], dim=-1)
        np.testing.assert_allclose(got[frame], expected, rtol=1e-5, atol=1e-6)


def test_a_causal_gru_knows_nothing_of_later_frames_and_a_temporalvlm_does() -> None:
    one = video("x", 40)
    changed = one.features.copy()
    changed[25:] += np.random.default_rng(1).normal(0, 500, changed[25:].shape)
    other = LabelledVideo(one.name, one.task, changed, one.times_s, one.labels)
    before = {}
    for name in (GRU_ROW, TEMPORALVLM_ROW):
        model = row(name)
        rows = [frame_evidence(model, v, texts(3)) for v in (one, other)]
        assert not np.allclose(rows[0][25:], rows[1][25:])
        before[name] = np.abs(rows[0][:25] - rows[1][:25]).max(axis=1)
    assert before[GRU_ROW].max() < 1e-5
    assert before[TEMPORALVLM_ROW].max() > 1e-3


@pytest.mark.parametrize("name", [TEMPORALVLM_ROW, GRU_ROW])
def test_padding_changes_nothing_of_what_a_row_says(name: str) -> None:
    model = row(name)
    videos = [cut_video(video("x", n), model.segmentation)[0] for n in (1, 4, 50)]
    batch = collate(videos)
    with torch.inference_mode():
        together = model.step_logits(batch, texts(4))
        for index, one in enumerate(videos):
            alone = model.step_logits(one, texts(4))[one.present]
            mine = together[index][batch.present[index]]
            torch.testing.assert_close(mine, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", FRAME_ROWS)
def test_a_vocabulary_that_was_not_trained_on_needs_no_other_model(name: str) -> None:
    model = row(name)
    for number in (2, 9):
        evidence = frame_evidence(model, video("x", 13), texts(number))
        assert evidence.shape == (13, number)
        assert np.isfinite(evidence).all()


# --- rows


def test_the_first_row_is_the_small_temporalvlm() -> None:
    model = row(TEMPORALVLM_ROW)
    assert isinstance(model, TemporalVLM)
    assert (model.config.aggregation, model.config.fusion) == ("bilstm", True)
    assert 0 < model.config.overlap < model.config.window
    assert model.config.segmentation == SMALL.segmentation


@pytest.mark.parametrize("name", [name for name in CHANGES if name != TEMPORALVLM_ROW])
def test_a_row_differs_from_the_first_in_what_its_name_says(name: str) -> None:
    first, model = row(TEMPORALVLM_ROW), row(name)
    plain, other = first.config.model_dump(), model.config.model_dump()
    differing = {field: other[field] for field in plain if plain[field] != other[field]}
    adaptive = plain["segmentation"] | {"how": "adaptive"}
    expected: dict[str, dict[str, object]] = {
        "aggregation: average pooling": {"aggregation": "average"},
        "aggregation: linear": {"aggregation": "linear"},
        "aggregation: LSTM": {"aggregation": "lstm"},
        "aggregation: Transformer": {"aggregation": "transformer"},
        "aggregation: minGRU, both ways": {"aggregation": "mingru"},
        "no overlap": {"overlap": 0},
        "no fusion": {"fusion": False},
        "no overlap, no fusion": {"overlap": 0, "fusion": False},
        "adaptive segments": {"segmentation": adaptive},
        TIMECHAT_ROW: {
            "segmentation": plain["segmentation"] | {"segments": 1, "frames": 288},
            "overlap": 0,
            "fusion": False,
            "aggregation": "none",
        },
    }
    assert differing == expected[name]
    one = video("x", 240)  # its segments have more frames than a window
    said = [frame_evidence(m, one, texts(3)) for m in (first, model)]
    assert not np.allclose(*said, atol=1e-6)


def test_the_gru_reads_the_frames_that_the_first_row_reads() -> None:
    model = row(GRU_ROW)
    assert isinstance(model, CausalGRU)
    assert model.segmentation == row(TEMPORALVLM_ROW).segmentation
    with pytest.raises(KeyError):
        row("no such row")


def test_a_seed_says_the_weights_and_what_all_rows_are_shown() -> None:
    def weights(seed: int) -> Tensor:
        model: Any = build_row(GRU_ROW, feature_dim=WIDTH, text_dim=TEXT_DIM, seed=seed)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert weights(3).equal(weights(3))
    assert not weights(3).equal(weights(4))
    assert frame_loop(3, 40).seed == 3
    videos = [video("x", 30), video("y", 60)]
    seen = []
    for name in FRAME_ROWS:
        shown = Shown(row(name))
        draws = FrameDraws(VideoCrops(videos, seed=3), shown.model.segmentation)
        for draw in range(2):
            draws.loss(shown, draw)
        seen.append(shown.frames)
    # How the frames are dealt to segments may differ, and with it how many are there at all.
    assert all(frames == seen[0] for frames in seen)


class Shown(nn.Module):
    """Takes down the frames that come, in their order."""

    def __init__(self, model: FrameModel) -> None:
        super().__init__()
        self.model = model
        self.frames: list[list[float]] = []

    def forward(self, videos: SegmentedVideos, labels: Tensor, task: str) -> Tensor:
        assert task == "a"
        assert labels[videos.present].min() >= 0
        self.frames.append(videos.features[videos.present][:, 0, 0].tolist())
        return torch.zeros(())
