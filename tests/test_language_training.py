"""The two stages of language training: tokens near words, then questions about crops."""

from __future__ import annotations

from functools import cache
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from industryasm.recording import AnnotatedCycle, AnnotatedSegment, Recording
from industryasm.segment import Segment
from industryasm.vocabulary import BACKGROUND, Step, Task
from models.language.answer_parser import (
    read_captions,
    read_highlights,
    read_segments,
    read_spans,
)
from models.language.instructions import LANGUAGE_TASKS
from models.language.recording_crop import crop_recording
from models.language.step_phrases import StepPhrases, label_phrases
from models.temporalvlm.alignment import AlignmentDraws, AlignmentLoss, token_shares
from models.temporalvlm.config import SystemName
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.language_training import AskedVideos, LanguageDraws, mean_loss
from models.temporalvlm.phrase_projection import PhraseProjection
from models.temporalvlm.systems import build_system
from models.temporalvlm.video import segment_video
from models.temporalvlm.video_crops import Crop, LabelledVideo, VideoCrops
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.temporalvlm.video_tokens import VideoTokens
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama
from tests.tiny_system import SIZE

WIDTH, FRAMES = 5, 24
TASK = Task(
    id="toy-car",
    name="Toy car",
    product="Toy car",
    family="toys",
    parts=(),
    steps=tuple(
        Step(id=name, text=text, primitive="other", expected_s=5, limit_s=20)
        for name, text in (("fit-axle", "Fit the axle"), ("fit-roof", "Put on the roof"))
    ),
)
SPANS = (("fit-axle", 2.0, 9.0), ("fit-roof", 12.0, 18.5), ("fit-axle", 18.5, 20.0))


def recording(name: str = "x", duration_s: float = 22.0) -> Recording:
    return Recording(
        id=name,
        task=TASK.id,
        task_revision=1,
        duration_s=duration_s,
        station="s",
        camera="c",
        operator="o",
        annotator="a",
        review="reviewed",
        cycles=(AnnotatedCycle(number=1, start_s=0, end_s=duration_s),),
        segments=tuple(
            AnnotatedSegment(label=label, start_s=start_s, end_s=end_s)
            for label, start_s, end_s in SPANS
            if end_s <= duration_s
        ),
        deviations=(),
    )


def video(name: str = "x", num_frames: int = 44, *, spacing_s: float = 0.5) -> LabelledVideo:
    """The step shows in a feature of its own."""
    times_s = np.arange(num_frames) * spacing_s
    labels = np.zeros(num_frames, np.int64)
    for label, start_s, end_s in SPANS:
        labels[(times_s >= start_s) & (times_s < end_s)] = TASK.labels().index(label)
    features = np.random.default_rng(num_frames).normal(0, 0.1, (num_frames, WIDTH))
    features[np.arange(num_frames), labels] += 3
    return LabelledVideo(name, TASK.id, features.astype(np.float32), times_s, labels)


def system(name: SystemName = "temporalvlm") -> VideoLanguageModel:
    torch.manual_seed(0)
    return build_system(
        name,
        feature_dim=WIDTH,
        frames=FRAMES,
        tokens=12,
        language=LanguageModel(LANGUAGE, tiny_llama(2048), byte_tokenizer()),
        size=SIZE,
    ).eval()


@cache
def untrained() -> VideoLanguageModel:
    return system()


# --- crops of recordings


@pytest.mark.parametrize(
    ("start_s", "end_s", "kept"),
    [
        (0, 22, SPANS),  # the whole
        (0, 1e9, SPANS),  # the whole, however long one asks
        (9, 12, ()),  # touches two segments and has nothing of them
        (10, 11, ()),  # between them
        (2, 9, (("fit-axle", 0.0, 7.0),)),  # one segment exactly
        (3, 4, (("fit-axle", 0.0, 1.0),)),  # inside one
        (8.5, 12.25, (("fit-axle", 0.0, 0.5), ("fit-roof", 3.5, 3.75))),  # an end and a start
        (18.5, 22, (("fit-axle", 0.0, 1.5),)),  # from where one segment follows another
    ],
)
def test_a_crop_has_what_of_the_segments_lies_inside(
    start_s: float, end_s: float, kept: tuple[tuple[str, float, float], ...]
) -> None:
    crop = crop_recording(recording(), start_s, end_s)
    assert [(s.label, s.start_s, s.end_s) for s in crop.segments] == list(kept)
    assert crop.duration_s == min(end_s, 22) - start_s
    assert crop.cycles == crop.deviations == crop.tracks == ()
    assert (crop.id, crop.task) == ("x", TASK.id)


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-0.1, 5), (5, 5), (6, 5), (22, 30), (100, 120), (float("nan"), 5), (0, float("nan"))],
)
def test_what_is_no_part_of_a_recording_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match=r"is no part of 22\.0 s"):
        crop_recording(recording(), start_s, end_s)


tenths = st.integers(0, 219).map(lambda number: number / 10)


@settings(deadline=None)
@given(tenths, st.integers(1, 220), st.integers(0, 100), st.integers(1, 100))
def test_crops_of_crops_are_crops(
    start_s: float, length: int, inner: int, inner_length: int
) -> None:
    whole = recording()
    crop = crop_recording(whole, start_s, start_s + length / 10)
    assert Recording.model_validate(crop.model_dump()) == crop  # its segments lie in order inside

    def label_at(of: Recording, time_s: float) -> str | None:
        found = [s.label for s in of.segments if s.start_s <= time_s < s.end_s]
        return found[0] if found else None

    for time_s in np.arange(0.05, crop.duration_s, 0.1):
        assert label_at(crop, float(time_s)) == label_at(whole, float(time_s) + start_s)
    first, last = inner / 10, (inner + inner_length) / 10
    if first < crop.duration_s - 1e-6:
        twice = crop_recording(crop, first, last)
        once = crop_recording(whole, start_s + first, start_s + min(last, crop.duration_s))
        assert twice.duration_s == pytest.approx(once.duration_s)
        spans = [[s for s in of.spans() if s.end_s - s.start_s > 1e-6] for of in (twice, once)]
        assert [s.label for s in spans[0]] == [s.label for s in spans[1]]
        for ours, theirs in zip(*spans, strict=True):
            assert ours.start_s == pytest.approx(theirs.start_s)
            assert ours.end_s == pytest.approx(theirs.end_s)


# --- first stage


def shares_by_counting(
    start_s: float, end_s: float, video: LabelledVideo, num_labels: int
) -> list[float]:
    """Count the frames inside, and the one that is still shown when the stretch begins."""
    shown = [i for i, time_s in enumerate(video.times_s) if start_s <= time_s <= end_s]
    before = [i for i, time_s in enumerate(video.times_s) if time_s < start_s]
    begins_between = not shown or video.times_s[shown[0]] > start_s
    if before and begins_between:
        shown.append(before[-1])
    if not shown:
        shown = [0]
    return [sum(video.labels[i] == k for i in shown) / len(shown) for k in range(num_labels)]


@st.composite
def stretches(draw: st.DrawFn) -> tuple[LabelledVideo, list[tuple[float, float]], int]:
    gaps = draw(st.lists(st.integers(1, 8), min_size=1, max_size=12))
    times_s = np.cumsum([0, *gaps[1:]]) / 4
    num_labels = draw(st.integers(1, 5))
    labels = draw(st.lists(st.integers(0, num_labels - 1), min_size=len(gaps), max_size=len(gaps)))
    quarters = st.integers(0, 4 * int(times_s[-1]) + 3)
    pairs = draw(st.lists(st.tuples(quarters, quarters), min_size=1, max_size=6))
    video = LabelledVideo(
        "x", "a", np.zeros((len(gaps), 2), np.float32), times_s, np.array(labels, np.int64)
    )
    return video, [(min(pair) / 4, max(pair) / 4) for pair in pairs], num_labels


@settings(deadline=None)
@given(stretches())
def test_a_token_has_the_share_of_each_label_in_its_stretch(
    case: tuple[LabelledVideo, list[tuple[float, float]], int],
) -> None:
    video, spans, num_labels = case
    starts, ends = (
        torch.tensor([times], dtype=torch.float64) for times in zip(*spans, strict=True)
    )
    shown = VideoTokens(torch.zeros(1, len(spans), 3), torch.tensor([len(spans)]), starts, ends)
    shares = token_shares(shown, video, num_labels=num_labels)
    assert shares.dtype == torch.float32
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(len(spans)))
    expected = [shares_by_counting(*span, video, num_labels) for span in spans]
    torch.testing.assert_close(shares, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("name", get_args(SystemName))
def test_tokens_of_every_system_come_to_say_what_is_done(name: SystemName) -> None:
    model = system(name)
    phrases = label_phrases(TASK)
    with pytest.raises(ValueError, match="one or more and differ"):
        model.speak_in([*phrases, phrases[0]])
    model.speak_in([*phrases, "Fold the map"])
    loss = AlignmentLoss(model, {TASK.id: phrases})
    draws = AlignmentDraws(VideoCrops([video()], seed=0), model)
    optimiser = torch.optim.AdamW([p for p in loss.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for draw in range(12):
        optimiser.zero_grad()
        value = draws.loss(loss, draw)
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert isinstance(model.projection, PhraseProjection)
    assert not model.projection.phrases.requires_grad
    with torch.no_grad():
        cut, _ = segment_video(video().features, video().times_s, model.segmentation)
        tokens = model.video_tokens(cut).tokens
        shares = model.projection.log_shares(tokens).exp()
        torch.testing.assert_close(shares.sum(dim=-1), torch.ones(shares.shape[:-1]))
        mixed = shares @ model.projection.phrases
        torch.testing.assert_close(model.projected(cut).tokens, mixed)
    assert float(shares[..., -1].mean()) < 0.2, "what no label says is seldom said"
    assert all(p.grad is None for n, p in loss.named_parameters() if ".lora_" in n)


# --- second stage


@cache
def drawn() -> LanguageDraws:
    """Draw of two recordings; one has but a single frame and a second."""
    videos = [video("x"), video("short", 1)]
    recordings = {"x": recording("x"), "short": recording("short", 1.0)}
    return LanguageDraws(VideoCrops(videos, seed=5), recordings, {TASK.id: TASK}, untrained())


def test_the_four_tasks_are_asked_in_turn_and_short_questions_beside_them() -> None:
    asked = []
    for draw in range(24):
        crop = drawn().crops.crop(draw)
        first, *others = drawn().examples(crop, draw)
        assert {e.recording_id for e in (first, *others)} == {crop.video.name}
        assert {e.question.task for e in others} <= {"grounding", "highlights"}
        if crop.video.name == "x":
            assert first.question.task == LANGUAGE_TASKS[draw % 4]
        elif LANGUAGE_TASKS[draw % 4] in ("grounding", "highlights"):
            assert first.question.task == "dense_captioning"  # nothing was done in that second
            assert first.answer == "none"
        asked.append(first.question.task)
    assert set(asked) == set(LANGUAGE_TASKS)


def test_no_question_is_asked_twice_of_a_crop_nor_more_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop = Crop(video(), 0.0, 22.0)
    language = untrained().language
    assert language is not None
    numbers = set()
    for most, room in ((3, 10**6), (10**6, 900), (10**6, 10**6), (1, 10**6), (10**6, 1)):
        monkeypatch.setattr("models.temporalvlm.language_training.QUESTIONS", most)
        monkeypatch.setattr("models.temporalvlm.language_training.QUESTION_TOKENS", room)
        for draw in range(4):
            examples = drawn().examples(crop, draw)
            assert len({e.question for e in examples}) == len(examples) <= most
            lengths = [language.num_tokens(e.instruction, e.answer) for e in examples]
            assert len(examples) == 1 or sum(lengths) <= room
            numbers.add(len(examples))
    assert numbers >= {1, 3, 4, 5}  # two steps: four short questions, and a long one


def test_an_answer_is_about_the_crop_and_in_its_time() -> None:
    crops = VideoCrops([video()], seed=2)
    draws = LanguageDraws(crops, {"x": recording()}, {TASK.id: TASK}, untrained())
    starts = set()
    for draw in range(32):
        crop = crops.crop(draw)
        starts.add(crop.start_s)
        example = draws.examples(crop, draw)[0]
        length_s = min(crop.end_s, 22.0) - crop.start_s
        inside = [
            Segment(max(s - crop.start_s, 0), min(e - crop.start_s, length_s), label)
            for label, s, e in SPANS
            if s < crop.end_s and e > crop.start_s
        ]
        kind = example.question.task
        if kind == "segmentation":
            phrases = StepPhrases.of(TASK)
            read = read_segments(example.answer, phrases=phrases, duration_s=length_s)
            assert list(read.values) == inside
        elif kind == "dense_captioning":
            spans = [c.span for c in read_captions(example.answer, duration_s=length_s).values]
            assert [(s.start_s, s.end_s) for s in spans] == [(s.start_s, s.end_s) for s in inside]
        else:
            assert example.question.query is not None
            step = next(s.id for s in TASK.steps if s.text == example.question.query)
            own = [(s.start_s, s.end_s) for s in inside if s.label == step]
            if kind == "grounding":
                told = read_spans(example.answer, duration_s=length_s).values
                assert [(s.start_s, s.end_s) for s in told] == own
            else:
                moments = read_highlights(example.answer, duration_s=length_s).values
                assert moments
                for moment in moments:
                    assert any(s - 2 < moment.time_s < e for s, e in own)
        # The frames that are shown with it have the same labels.
        for time_s, label in zip(crop.video.times_s, crop.video.labels, strict=True):
            now = [s.label for s in inside if s.start_s <= time_s < s.end_s]
            assert TASK.labels()[label] == (now[0] if now else BACKGROUND)
    assert len(starts) > 5


def test_the_same_draw_asks_the_same_and_costs_the_same() -> None:
    again = LanguageDraws(drawn().crops, drawn().recordings, {TASK.id: TASK}, untrained())
    with torch.inference_mode():
        for draw in (7, 1, 4, 7):
            crop = drawn().crops.crop(draw)
            assert drawn().examples(crop, draw) == again.examples(crop, draw)
            losses = [float(d.loss(untrained(), draw)) for d in (drawn(), again)]
            assert losses[0] == losses[1]
            assert np.isfinite(losses[0])


def test_questions_differ_from_draw_to_draw() -> None:
    crop = Crop(video(), 0.0, 22.0)
    asked = {drawn().examples(crop, 4 * turn + 1)[0].instruction for turn in range(20)}
    assert len(asked) > 5
    assert {"Fit the axle", "Put on the roof"} <= {
        text for text in ("Fit the axle", "Put on the roof") for said in asked if text in said
    }


def test_answers_are_about_whole_recordings_and_their_loss_falls_when_learned() -> None:
    model = system("timechat")
    crop = Crop(video(), 0.0, 22.0)
    draws = LanguageDraws(VideoCrops([video()], seed=0), {"x": recording()}, {TASK.id: TASK}, model)
    examples = [draws.examples(crop, draw)[0] for draw in range(4)]
    known = {"x": video()}
    videos = AskedVideos(model, known.values())
    said = videos.answers(examples, [4, 4, 4, 2])
    assert said == videos.answers(examples, [4, 4, 4, 2]), "what was read is not changed by asking"
    for example, answer, most in zip(examples, said, [4, 4, 4, 2], strict=True):
        assert AskedVideos(model, known.values()).answers([example], [most]) == [answer]
    before = mean_loss(model, examples, known)
    each = [mean_loss(model, [example], known) for example in examples]
    assert before == pytest.approx(np.mean(each))
    learned: nn.Module = model
    optimiser = torch.optim.AdamW([p for p in learned.parameters() if p.requires_grad], lr=1e-2)
    for draw in range(8):
        optimiser.zero_grad()
        loss: Tensor = draws.loss(learned, draw)
        loss.backward()
        optimiser.step()
    assert mean_loss(model, examples, known) < before
