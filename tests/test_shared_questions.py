"""Questions that share a video: learned and answered as if each were asked alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from models.temporalvlm.answer import Answer
from models.temporalvlm.config import LinesConfig
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.video_tokens import VideoTokens
from tests.side_by_side import collate
from tests.test_temporalvlm import INSTRUCTION, model, video
from tests.tiny_llama import END, LANGUAGE, byte_tokenizer, tiny_llama

QUESTIONS = ["When?", INSTRUCTION, "List the steps that you see.", "a", "When?"]
ABOUT = [None, None, None, "a", "The cap"]
ANSWERS = ["0.5 - 2.0 seconds", "none", "x: 1.0 - 2.5 seconds\nyz: 3.0 - 9.5 seconds", "", "3.2"]


def lively_language(**changes: Any) -> LanguageModel:
    """Grouped heads as SmolLM2 has, and adapters that do something, without dropout."""
    llama = tiny_llama()
    shape = {**llama.config.to_dict(), "hidden_size": 24, "num_attention_heads": 6}
    torch.manual_seed(2)
    grouped = LlamaForCausalLM(LlamaConfig(**{**shape, "num_key_value_heads": 2, "head_dim": 4}))
    assert LANGUAGE.lora is not None
    lora = LANGUAGE.lora.model_copy(update={"dropout": 0.0})
    config = LANGUAGE.model_copy(update={"lora": lora, **changes})
    language = LanguageModel(config, grouped, byte_tokenizer())
    for name, weights in language.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weights, std=0.3)
    return language


@pytest.mark.parametrize(
    "changes", [{}, {"lines": LinesConfig(words=2)}, {"gradient_checkpointing": True}]
)
def test_questions_about_one_video_learn_as_if_each_were_asked_alone(
    changes: dict[str, Any],
) -> None:
    language = lively_language(**changes).train()
    times = torch.arange(7.0)[None]
    torch.manual_seed(3)
    tokens = torch.randn(1, 7, language.config.token_dim, requires_grad=True)
    shown = VideoTokens(tokens, torch.tensor([6]), times, times)

    def slopes(loss: Tensor) -> dict[str, Tensor]:
        weights = {n: p for n, p in language.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(loss, [tokens, *weights.values()])
        return dict(zip(["tokens", *weights], found, strict=True))

    together = language.loss(shown, QUESTIONS, ANSWERS, ABOUT)
    alone = [
        language.loss(shown, [q], [a], [about])
        for q, a, about in zip(QUESTIONS, ANSWERS, ABOUT, strict=True)
    ]
    mean = torch.stack(alone).mean()
    torch.testing.assert_close(together, mean, atol=1e-5, rtol=1e-5)
    assert len({round(float(loss.detach()), 3) for loss in alone}) == len(alone)
    ours, theirs = slopes(together), slopes(mean)
    assert any("lora_" in name for name in ours)
    for name, slope in theirs.items():
        torch.testing.assert_close(ours[name], slope, atol=1e-5, rtol=1e-5, msg=name)
    assert ours["tokens"][0, :6].abs().min() > 0
    assert ours["tokens"][0, 6:].abs().max() == 0, "what is behind a video's length is not shown"


def test_a_question_hears_nothing_of_the_others_about_its_video() -> None:
    language = lively_language().eval()
    times = torch.zeros(1, 4)
    shown = VideoTokens(torch.randn(1, 4, 24), torch.tensor([4]), times, times)
    with torch.inference_mode():
        for other in ("b", "another " * 9):
            asked = language.loss(shown, ["When?", other], ["3.2", "x"])
            parts = [language.loss(shown, [q], [a]) for q, a in (("When?", "3.2"), (other, "x"))]
            torch.testing.assert_close(asked, torch.stack(parts).mean(), atol=1e-5, rtol=1e-5)


def test_what_was_read_of_a_video_is_shared_by_questions_and_left_as_it_was() -> None:
    net = model(speaks=True)
    videos = [video(n, seed=n) for n in (9, 60)]
    read = net.read(collate(videos))
    about = [read[i % 2] for i in range(len(QUESTIONS))]
    longest = [12, 1, 7, 30, 12]
    before = [[states.clone() for layer in text.layers for states in layer] for text in read]
    said = net.answer_about(about, QUESTIONS, longest)
    assert net.answer_about(about, QUESTIONS, longest) == said
    assert len(set(said)) > 2
    for place, (question, most) in enumerate(zip(QUESTIONS, longest, strict=True)):
        one = net.answer(videos[place % 2], [question], max_new_tokens=most)
        assert one == [said[place]]
    assert net.answer(videos[0], QUESTIONS[:2], max_new_tokens=5) == [
        net.answer(videos[0], [question], max_new_tokens=5)[0] for question in QUESTIONS[:2]
    ]
    for text, states in zip(read, before, strict=True):
        now = [kept for layer in text.layers for kept in layer]
        assert all(torch.equal(a, b) for a, b in zip(now, states, strict=True))


def test_answers_are_those_of_the_library_s_own_greedy_decoding() -> None:
    language = lively_language().eval()
    times = torch.zeros(1, 4)
    torch.manual_seed(4)
    shown = VideoTokens(torch.randn(1, 4, 24), torch.tensor([4]), times, times)
    end = int(language._ids(END, special=True)[0])
    with torch.inference_mode():
        said = language.answer(language.read(shown) * 5, QUESTIONS, [20] * 5)
        language.causal_lm.set_attn_implementation("eager")
        for question, answer in zip(QUESTIONS, said, strict=True):
            (start,) = language._starts(shown, 1)
            prompt = torch.cat([start, language._embed(language._question_ids(question))])
            greedy = GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False, max_new_tokens=20, eos_token_id=end, pad_token_id=end
            )
            (ids,) = language.causal_lm.generate(
                inputs_embeds=prompt[None],
                attention_mask=torch.ones(1, len(prompt)),
                generation_config=greedy,
            )
            is_finished = end in ids
            theirs = language.tokenizer.decode(ids[: len(ids) - is_finished])
            theirs = theirs.strip() if is_finished else theirs.lstrip()
            lines = theirs.split("\n")
            assert len(set(lines)) == len(lines), "no line is said again, so nothing ends early"
            assert answer == Answer(theirs, is_finished)


def test_an_answer_that_says_a_line_again_ends_there_unfinished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    language = LanguageModel(LANGUAGE, tiny_llama(), byte_tokenizer()).eval()
    end = language._ids(END, special=True).tolist()
    texts = {
        "1 - 2\n3 - 4\n1 - 2\n5 - 6": ("1 - 2\n3 - 4\n1 - 2\n", False),
        " 1 - 2\n1 - 2\n3 - 4": ("1 - 2\n1 - 2\n", False),  # behind words that were given
        "1<|im_start|>2\n3 - 4": ("1<|im_start|>2\n3 - 4", True),  # for the parser to refuse
        "1 - 2\n3 - 4\n5 - 6": ("1 - 2\n3 - 4\n5 - 6", True),
        "1 - 2\n1 - 2": ("1 - 2\n1 - 2", True),  # it ended by itself before the line did
    }

    def said(
        causal_lm: object, read: list[object], longest: list[int], is_over: Callable[..., bool]
    ) -> list[list[int]]:
        found = []
        for text in texts:
            ids = language._ids(text, special=True).tolist() + end
            lengths = range(1, len(ids) + 1)
            found.append(ids[: next(n for n in lengths if is_over(ids[:n]))])
        return found

    monkeypatch.setattr("models.temporalvlm.language_model.decode", said)
    times = torch.zeros(1, 4)
    shown = VideoTokens(torch.randn(1, 4, 24), torch.tensor([4]), times, times)
    answers = language.answer(language.read(shown) * 3, ["When?"] * 3, [99] * 3)
    assert answers == [Answer(text, done) for text, done in texts.values()]


def test_questions_must_be_about_one_video_or_one_each() -> None:
    net = model(speaks=True)
    both = collate([video(3), video(4)])
    with pytest.raises(ValueError, match="3 questions about 2 videos"):
        net(both, ["a", "b", "c"], ["a", "b", "c"])
