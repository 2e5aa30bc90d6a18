"""The network: streamed equals whole, batched equals single, exported equals trained."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.window import RollingWindow
from models.chunks import ChunkShape
from models.export import export_temporal
from models.step_network import StepNetwork, StepNetworkShape
from models.training.frames import (
    LabelledSequence,
    TrainingConfig,
    enough_epochs,
    fit_temperature,
    predict,
    train,
)

DIM = 8


def small_network(lookahead: int = 5, labels: int = 4, chunk: int = 4) -> StepNetwork:
    torch.manual_seed(0)
    chunks = ChunkShape(chunk=chunk, lookahead=lookahead)
    shape = StepNetworkShape(
        num_labels=labels, feature_dim=DIM, dim=16, heads=2, hidden=12, chunk=chunks
    )
    return StepNetwork(shape).eval()


def features(num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_frames, DIM)).astype(np.float32)


def streamed(network: StepNetwork, rows: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return logits (T, K) by pushing one frame after the other, as the edge does."""
    window = RollingWindow(network.shape.chunk, feature_dim=DIM, rate_hz=5.0)
    out: list[np.ndarray] = []
    chunks = [c for row, slot in zip(rows, slots, strict=True) for c in window.push(row, slot / 5)]
    with torch.inference_mode():
        for chunk in chunks + window.close():
            if chunk.fresh:
                state = (torch.zeros(1, network.shape.hidden),) * 2
            logits, *state = network(
                torch.from_numpy(chunk.view)[None], torch.from_numpy(chunk.present)[None], *state
            )
            out.append(logits[0].numpy()[chunk.positions])
    return np.concatenate(out)


@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 21, 22, 64, 100])
@pytest.mark.parametrize(
    ("chunk", "lookahead"), [(1, 0), (4, 5), (16, 5), (2, 30), (8, 20), (16, 16)]
)
def test_streamed_logits_equal_those_of_the_whole_recording(
    num_frames: int, chunk: int, lookahead: int
) -> None:
    network, rows = small_network(lookahead, chunk=chunk), features(num_frames)
    whole = predict(network, rows)
    assert whole.shape == (num_frames, 4)
    np.testing.assert_allclose(streamed(network, rows, np.arange(num_frames)), whole, atol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 7, 16])
def test_with_all_that_remains_as_look_ahead_it_is_a_full_bilstm(num_frames: int) -> None:
    """Graves and Schmidhuber's BiLSTM over the whole of what is left, in PyTorch's own form."""
    network = small_network(lookahead=16, chunk=16)
    rows = torch.from_numpy(features(num_frames))[None]
    present = torch.ones((1, num_frames), dtype=torch.bool)
    view = torch.zeros((1, network.shape.chunk.view, DIM))
    shown = torch.zeros((1, network.shape.chunk.view), dtype=torch.bool)
    view[:, 16 : 16 + num_frames], shown[:, 16 : 16 + num_frames] = rows, present
    encoder = network.segment_encoder
    full = torch.nn.LSTM(16, 12, batch_first=True, bidirectional=True)
    state = {
        **network.forward_lstm.state_dict(),
        **{f"{k}_reverse": v for k, v in network.backward_lstm.state_dict().items()},
    }
    full.load_state_dict(state)
    with torch.inference_mode():
        local = encoder(encoder.embed(view, shown))  # (1, 32, dim): the chunk and what follows
        expected = network.head(torch.cat([full(local)[0], local], dim=-1))[0, :num_frames]
    whole = predict(network, features(num_frames))
    np.testing.assert_allclose(whole, expected.numpy(), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 90), min_size=1), st.integers(0, 40))
def test_dropped_frames_are_absent_and_shift_nothing(slots: set[int], start: int) -> None:
    """Gaps shorter than a view: the stream equals the whole file with those frames absent."""
    network = small_network()
    at = np.array(sorted(slots))
    if (np.diff(at) > network.shape.chunk.view).any():
        return
    at = at - at[0]
    rows = features(int(at[-1]) + 1)
    present = np.isin(np.arange(len(rows)), at)
    with torch.inference_mode():
        whole = network.whole(torch.from_numpy(rows)[None], torch.from_numpy(present)[None])
    expected = whole[0].numpy()[at]
    np.testing.assert_allclose(streamed(network, rows[at], at + start), expected, atol=1e-5)


def test_after_a_long_gap_the_stream_starts_afresh() -> None:
    network, rows = small_network(), features(40)
    slots = np.concatenate([np.arange(20), 500 + np.arange(20)])
    both = streamed(network, rows, slots)
    np.testing.assert_allclose(both[20:], predict(network, rows[20:]), atol=1e-5)


def test_a_frame_is_decided_after_at_most_its_chunk_and_the_look_ahead() -> None:
    window = RollingWindow(ChunkShape(chunk=4, lookahead=5), feature_dim=DIM, rate_hz=5.0)
    waited = []
    for slot, row in enumerate(features(200)):
        for chunk in window.push(row, slot / 5):
            waited += [slot / 5 - time_s for time_s in chunk.times_s]
    assert max(waited) == pytest.approx((4 + 5 - 1) / 5)
    assert min(waited) == pytest.approx(5 / 5)


def test_a_batch_of_streams_equals_each_stream_alone() -> None:
    network = small_network()
    state = torch.zeros(3, 12)
    rows = torch.from_numpy(np.stack([features(48, seed) for seed in range(3)]))
    present = torch.rand(3, 48) > 0.2
    with torch.inference_mode():
        together, *_ = network(rows, present, state, state)
        for i in range(3):
            alone, *_ = network(rows[i : i + 1], present[i : i + 1], state[:1], state[:1])
            np.testing.assert_allclose(together[i], alone[0], atol=1e-5)


def test_the_exported_graph_computes_what_the_network_does(tmp_path: Path) -> None:
    network, path = small_network(), tmp_path / "temporal.onnx"
    export_temporal(network, path)  # compares at three batches, raises when they differ
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shapes = {i.name: i.shape for i in session.get_inputs()}
    assert shapes["features"] == ["batch", 48, DIM]
    assert [o.shape[0] for o in session.get_outputs()] == ["batch"] * 3


def test_training_learns_what_only_order_tells_and_is_repeatable() -> None:
    """Labels that no single frame shows: the third state looks like the first."""
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(2, DIM)).astype(np.float32) * 2
    labels = np.repeat(np.tile([0, 1, 2], 8), 12)
    rows = looks[np.where(labels == 2, 0, labels)] + 0.1 * features(len(labels))
    sequences = [LabelledSequence(rows.astype(np.float32), labels)]
    config = TrainingConfig(epochs=60, batch=2, crop=96, learning_rate=5e-3, drop_frames=0.0)
    shape = small_network(labels=3).shape
    first, second = (train(sequences, shape, config) for _ in range(2))
    accuracy = (predict(first, rows.astype(np.float32)).argmax(axis=1) == labels).mean()
    assert accuracy > 0.85, "a per-frame classifier cannot be above 2/3"
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_temperature_of_overconfident_logits_is_above_one() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 2000)
    honest = np.eye(3)[labels] + rng.normal(size=(2000, 3))
    assert fit_temperature(honest.astype(np.float32), labels) < 1.5
    assert fit_temperature((5 * honest).astype(np.float32), labels) > 2.5


@pytest.mark.parametrize(
    ("window", "overlap", "chunk", "lookahead"),
    [
        (32, 8, 4, 5),
        (32, 32, 4, 5),
        (32, 16, 16, 17),
        (32, 16, 0, 5),
        (32, 16, 3, 5),
        (32, 16, 4, -1),
    ],
)
def test_a_chunk_shape_that_cannot_be_cut_is_refused(
    window: int, overlap: int, chunk: int, lookahead: int
) -> None:
    with pytest.raises(ValueError, match="must"):
        ChunkShape(window, overlap, chunk, lookahead)


@pytest.mark.parametrize(("num_recordings", "epochs"), [(1, 400), (20, 67), (500, 40)])
def test_few_recordings_are_passed_over_more_often(num_recordings: int, epochs: int) -> None:
    """So that there are 400 steps of 8 crops of 384 frames."""
    one = LabelledSequence(np.zeros((1000, 1), np.float32), np.zeros(1000, np.int64))
    assert enough_epochs([one] * num_recordings) == epochs
