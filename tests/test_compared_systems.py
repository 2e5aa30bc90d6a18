"""The systems TemporalVLM is compared with: what each shows, and what it cannot know."""

import json
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch

from models.temporalvlm.config import (
    SMALL,
    StepHeadConfig,
    SystemName,
)
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.longvlm import merged, merged_groups, rounds
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.parts import parameter_counts, part_parameters
from models.temporalvlm.systems import build_system
from models.temporalvlm.video import SegmentedVideos, segment_video
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens, window_stretches
from tests.side_by_side import collate
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama
from tests.tiny_system import SIZE

SYSTEMS: tuple[SystemName, ...] = get_args(SystemName)
TIMED = ("temporalvlm", "timechat")
WIDTH, FRAMES, TOKENS = 6, 24, 12


def system(
    name: SystemName,
    *,
    frames: int = FRAMES,
    speaks: bool = True,
    trained: frozenset[str] = SMALL.trained,
) -> VideoLanguageModel:
    torch.manual_seed(0)
    windowed = name in TIMED and not speaks
    return build_system(
        name,
        feature_dim=WIDTH,
        frames=frames,
        tokens=TOKENS,
        language=LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer()) if speaks else None,
        step_head=StepHeadConfig(classifier="learned", width=3) if windowed else None,
        trained=trained,  # type: ignore[arg-type]
        size=SIZE,
    ).eval()


def video(
    net: VideoLanguageModel, num_frames: int, *, seed: int = 0, start_s: float = 0.0
) -> SegmentedVideos:
    rows = np.random.default_rng(seed).normal(size=(num_frames, WIDTH)).astype(np.float32)
    return segment_video(rows, start_s + np.arange(num_frames) * 0.5, net.segmentation)[0]


# --- what is shown


@pytest.mark.parametrize(
    ("name", "segments", "shown"),
    [
        ("temporalvlm", 6, 96),  # 2 windows of 48 frames, 8 queries each
        ("timechat", 1, 99),  # 9 windows of 32 frames, 11 queries each
        ("longvlm", 12, 97),  # the mean, and 8 of the 24 frames of each segment
        ("videochat-embed", 1, 96),  # 48 parts of 6 frames, 2 queries each
    ],
)
def test_at_the_small_scale_all_read_288_frames_and_show_alike_many_tokens(
    name: SystemName, segments: int, shown: int
) -> None:
    head = StepHeadConfig(classifier="learned", width=3) if name in TIMED else None
    net = build_system(
        name, feature_dim=WIDTH, frames=288, language=None, step_head=head, size=SMALL
    ).eval()
    assert net.segmentation.segments == segments
    assert net.segmentation.segments * net.segmentation.frames == 288
    with torch.inference_mode():
        tokens = net.video_tokens(video(net, 900))
    assert tokens.tokens.shape == (1, shown, WIDTH if name == "longvlm" else SMALL.dim)
    assert tokens.lengths.tolist() == [shown]
    assert tokens.tokens.isfinite().all()


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("num_frames", [1, 2, 7, 24, 100])
def test_stretches_lie_in_order_within_the_video(name: SystemName, num_frames: int) -> None:
    net = system(name, speaks=False)
    one = video(net, num_frames, start_s=3.0)
    with torch.inference_mode():
        got = net.video_tokens(one)
    times = one.times_s[one.present]
    assert got.tokens.isfinite().all()
    assert got.lengths.tolist() == [got.tokens.shape[1]]
    assert (got.start_s <= got.end_s).all()
    assert got.start_s.min() == times.min()
    assert got.end_s.max() == times.max()
    behind_the_mean = got.start_s[0, 1:] if name == "longvlm" else got.start_s[0]
    if name != "temporalvlm":  # whose windows overlap
        assert (behind_the_mean.diff() >= 0).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_padding_never_changes_what_a_video_shows(name: SystemName) -> None:
    net = system(name)
    videos = [video(net, n, seed=n) for n in (1, 3, 13, 24, 60)]
    batch = collate(videos)
    spoiled = batch.features.clone()
    spoiled[~batch.present] = 1e6
    with torch.inference_mode():
        together = net.projected(SegmentedVideos(spoiled, batch.times_s, batch.present))
        for row, one in enumerate(videos):
            alone = net.projected(one)
            length = int(together.lengths[row])
            assert length == alone.lengths[0]
            for ours, single in (
                (together.tokens, alone.tokens),
                (together.start_s, alone.start_s),
                (together.end_s, alone.end_s),
            ):
                torch.testing.assert_close(ours[row, :length], single[0], atol=1e-4, rtol=1e-4)
    assert (together.start_s[~together.present] == 0).all()
    assert (together.end_s[~together.present] == 0).all()
    assert net.answer(batch, ["when?"] * 5, max_new_tokens=4) == [
        net.answer(one, ["when?"], max_new_tokens=4)[0] for one in videos
    ]


@pytest.mark.parametrize("name", SYSTEMS)
def test_only_systems_with_timestamps_see_when_a_frame_was_taken(name: SystemName) -> None:
    net = system(name)
    with torch.inference_mode():
        early, late = net.projected(video(net, 24)), net.projected(video(net, 24, start_s=90.0))
    changed = not torch.allclose(early.tokens, late.tokens, atol=1e-4)
    assert changed == (name in TIMED)
    torch.testing.assert_close(early.start_s + 90, late.start_s)


# --- what each is


def test_timechat_has_no_overlap_and_nothing_global() -> None:
    net = system("timechat")
    assert isinstance(net, TemporalVLM)
    assert (net.config.overlap, net.config.fusion, net.config.aggregation) == (0, False, "none")
    one = video(net, 24)
    other = SegmentedVideos(one.features.clone(), one.times_s, one.present)
    other.features[0, 0, -1] *= -1
    with torch.inference_mode():
        before, after = net.video_tokens(one), net.video_tokens(other)
    assert before.tokens.shape[1] == 12, "4 windows of 6 frames, 3 queries each"
    per_window = before.start_s.view(4, 3)
    assert all(first[-1] < second[0] for first, second in pairwise(per_window))
    torch.testing.assert_close(before.tokens[:, :9], after.tokens[:, :9])
    assert not torch.allclose(before.tokens[:, 9:], after.tokens[:, 9:], atol=1e-3)


def test_each_query_of_a_window_stands_for_an_equal_part_of_its_present_frames() -> None:
    times = torch.tensor([[10.0, 11.0, 12.0, 14.0, 0.0, 0.0]])
    present = torch.tensor([[True, True, True, True, False, False]])
    start, end = window_stretches(times, present, window=4, overlap=2, queries=4)
    assert start.tolist() == [[[10.0, 11.0, 12.0, 13.0], [12.0, 12.5, 13.0, 13.5]]]
    assert end.tolist() == [[[11.0, 12.0, 13.0, 14.0], [12.5, 13.0, 13.5, 14.0]]]


def test_longvlm_merges_the_most_alike_frames_and_puts_the_mean_in_front() -> None:
    net = system("longvlm", frames=60, speaks=False)  # 5 frames a segment, 1 token
    one = video(net, 60)
    with torch.inference_mode():
        got = net.video_tokens(one)
    normed = torch.nn.functional.layer_norm(one.features, (WIDTH,))[0, :, :, 0]
    torch.testing.assert_close(got.tokens[0, 0], normed.flatten(0, 1).mean(dim=0))
    torch.testing.assert_close(got.tokens[0, 1:], normed.mean(dim=1))
    assert [got.start_s[0, 0].item(), got.end_s[0, 0].item()] == [0.0, 29.5]
    assert got.start_s[0, 1:].tolist() == [2.5 * segment for segment in range(12)]


def test_merging_keeps_what_differs() -> None:
    looks = torch.eye(4)[[0, 0, 0, 1, 1, 2, 2, 2, 2, 3]] + 0.01 * torch.arange(10.0)[:, None]
    tokens, start_s, end_s = merged(looks, torch.arange(10.0), 4)
    assert merged_groups(looks, 4).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3]
    assert (start_s.tolist(), end_s.tolist()) == ([0, 3, 5, 9], [2, 4, 8, 9])
    torch.testing.assert_close(tokens[0], looks[:3].mean(dim=0))
    assert merged_groups(looks[:3], 4).tolist() == [0, 1, 2], "fewer than are kept stay"
    still = torch.ones(9, 4)
    assert merged_groups(still, 1).tolist() == [0] * 9, "frames that are all the same merge too"


@pytest.mark.parametrize(
    ("count", "keep", "merges"),
    [
        (2560, 30, [1280, 640, 320, 160, 80, 40, 10]),  # as published
        (24, 8, [12, 4]),
        (5, 1, [2, 1, 1]),
        (1, 1, []),
        (3, 8, []),
    ],
)
def test_rounds_of_merging_halve_at_most(count: int, keep: int, merges: list[int]) -> None:
    assert rounds(count, keep) == merges


def test_videochat_embed_pools_parts_and_mixes_nothing_else() -> None:
    net = system("videochat-embed")  # 6 parts of 4 frames, 2 queries
    one = video(net, 24)
    swapped = one.features.clone()
    swapped[0, 0, [0, 3]] = one.features[0, 0, [3, 0]]
    with torch.inference_mode():
        got = net.video_tokens(one)
        other = net.video_tokens(SegmentedVideos(swapped, one.times_s, one.present))
    torch.testing.assert_close(got.tokens, other.tokens, atol=1e-5, rtol=1e-5)
    assert got.start_s[0].tolist() == [t for part in range(6) for t in [2.0 * part] * 2]
    assert got.end_s[0].tolist() == [t for part in range(6) for t in [2.0 * part + 1.5] * 2]


# --- learning


@pytest.mark.parametrize("name", SYSTEMS)
def test_its_loss_falls_with_training(name: SystemName) -> None:
    net = system(name).train()
    looks = np.eye(WIDTH, dtype=np.float32)[[0, 1]]
    rows = [np.repeat(look[None], FRAMES, axis=0) for look in looks]
    videos = collate([segment_video(r, np.arange(FRAMES), net.segmentation)[0] for r in rows])
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = net(videos, ["which?"] * 2, ["a", "b"])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < losses[0] / 3


@pytest.mark.parametrize("name", SYSTEMS)
def test_only_trained_parts_move_and_frozen_ones_have_no_dropout(name: SystemName) -> None:
    net = system(name, trained=frozenset({"projection"})).train()
    before = {key: p.clone() for key, p in net.named_parameters()}
    net(video(net, 24), ["when?"], ["now"]).backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1.0).step()
    moved = {key for key, p in net.named_parameters() if not torch.equal(p, before[key])}
    assert moved == {"projection.weight", "projection.bias"}
    assert net.language is not None
    assert not net.language.training
    assert all(not m.training for part, m in net.parts().items() if part != "projection")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("temporalvlm", {"image_qformer", "video_qformer", "fusion", "aggregation"}),
        ("timechat", {"image_qformer", "video_qformer"}),
        ("longvlm", set()),
        ("videochat-embed", {"image_qformer"}),
    ],
)
def test_every_part_of_a_system_learns_by_default(name: SystemName, parts: set[str]) -> None:
    net = system(name).train()
    net(video(net, 24), ["when?"], ["now"]).backward()
    learning = {
        part
        for part, parameters in part_parameters(net).items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)
    }
    assert learning == parts | {"projection", "lora"}
    counts = parameter_counts(net)
    assert {part for part, count in counts.items() if count} == learning | {"language_model"}
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", SYSTEMS)
def test_half_precision_trains_too(name: SystemName) -> None:
    net = system(name).to(torch.bfloat16).train()
    one = video(net, 24).to(torch.device("cpu"), torch.bfloat16)
    net(one, ["when?"], ["now"]).backward()
    slopes = [p.grad for p in net.parameters() if p.grad is not None]
    assert slopes
    assert all(slope.isfinite().all() for slope in slopes)


# --- bad input


@pytest.mark.parametrize("name", SYSTEMS)
def test_videos_that_were_not_cut_for_a_system_are_refused(name: SystemName) -> None:
    net = system(name)
    wide = segment_video(np.zeros((4, WIDTH + 1)), np.arange(4.0), net.segmentation)[0]
    with pytest.raises(ValueError, match=f"'{name}' reads .* frames, {WIDTH} wide"):
        net.video_tokens(wide)
    longer = net.segmentation.model_copy(update={"frames": 99})
    other = segment_video(np.zeros((200, WIDTH)), np.arange(200.0), longer)[0]
    with pytest.raises(ValueError, match="cut videos by its segmentation"):
        net.video_tokens(other)
    nothing = video(net, 4)
    gone = SegmentedVideos(nothing.features, nothing.times_s, torch.zeros_like(nothing.present))
    with pytest.raises(ValueError, match="no frame that is present"):
        net.video_tokens(gone)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_without_a_language_model_says_so(name: SystemName) -> None:
    net = system(name, speaks=False)
    with pytest.raises(ValueError, match=f"'{name}' was built without a language model"):
        net.answer(video(net, 4), ["when?"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_configuration_is_json_that_tells_systems_apart(name: SystemName) -> None:
    def told(**changes: Any) -> str:
        return json.dumps(system(name, **changes).configuration())

    plain = told()
    assert plain == told(), "the same in every process, whatever the order of a set's items"
    assert plain != told(frames=48)
    assert plain != told(trained=frozenset({"projection"}))
    assert json.loads(plain)["trained"] == sorted(json.loads(plain)["trained"])


def test_systems_that_cannot_be_built_are_refused() -> None:
    head = StepHeadConfig(classifier="learned", width=3)
    with pytest.raises(ValueError, match="frames 100 must be a multiple of 12"):
        build_system("timechat", feature_dim=WIDTH, frames=100, language=None, step_head=head)
    with pytest.raises(ValueError, match="'longvlm' has no step head"):
        build_system("longvlm", feature_dim=WIDTH, frames=24, language=None, step_head=head)
    with pytest.raises(ValueError, match="no system 'gpt'; there are temporalvlm, timechat"):
        build_system("gpt", feature_dim=WIDTH, frames=24, language=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a language model or a step head"):
        build_system("timechat", feature_dim=WIDTH, frames=24, language=None)


def test_video_tokens_show_their_shape_and_not_their_data() -> None:
    times = torch.zeros(1, 3)
    shown = VideoTokens(torch.zeros(1, 3, 2), torch.tensor([2]), times, times)
    assert repr(shown) == "VideoTokens(tokens=(1, 3, 2), lengths=[2])"
    assert shown.present.tolist() == [[True, True, False]]
