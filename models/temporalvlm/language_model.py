r"""The language model: video tokens and an instruction in, an answer out.

```
before_video | video tokens | after_video instruction before_answer | answer end_of_answer
             given as embeddings                                     only this is learned

with lines: before_video | "'" 8 embeddings "': 0.0 - 4.8 seconds\n" ... | after_video ...
```
The same function lays out a prompt in training and inference. An instruction is text: a special
token written in it is read as its characters. Lines (`LinesConfig`) are not in the paper: they let
the language model copy a time, which it would else have to read out of the video tokens. With them
the answer to a question about something begins with what it is about, as a line does, but for the
times: these words are given, not learned.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from industryasm.fault import UserFault
from models.language.timestamps import write_time
from models.temporalvlm.answer import Answer
from models.temporalvlm.config import LanguageConfig
from models.temporalvlm.greedy_decoding import ReadText, decode, read_text
from models.temporalvlm.question_attention import use_question_attention
from models.temporalvlm.question_rows import (
    NOT_LEARNED,
    QuestionRow,
    mean_of_answers,
    positions_of,
    targets_of,
)
from models.temporalvlm.video_tokens import VideoTokens

Queries = Sequence[str | None]
"""What each question is about, None where it is about the whole video."""

_FILLING = "_"
"""Behind a phrase of few word pieces: no word, so that no answer says it."""


class LanguageModelError(UserFault, ValueError):
    """A language model's files are absent or unfit, or what it is asked is too long."""


class LanguageModel(nn.Module):
    """A frozen causal language model with adapters, its tokenizer, and its prompt."""

    def __init__(self, config: LanguageConfig, model: Any, tokenizer: Any = None) -> None:
        super().__init__()
        if model.config.hidden_size != config.dim:
            raise LanguageModelError(
                f"{config.name}: embeddings are {model.config.hidden_size} wide, not {config.dim}; "
                "give the model that the configuration names"
            )
        self.config = config
        self.tokenizer = tokenizer
        model.requires_grad_(False)
        use_question_attention(model)
        self.model = model if config.lora is None else _with_lora(model, config)
        if config.gradient_checkpointing:
            # Not reentrant: inputs without gradients (a prompt's embeddings) then stop nothing.
            self.causal_lm.activation_checkpointing_enable({"use_reentrant": False})
            self.causal_lm.disable_input_require_grads()  # which it turns on for the reentrant one

    @property
    def causal_lm(self) -> Any:
        """The model itself, with its adapters but without peft's wrapping."""
        return self.model if self.config.lora is None else self.model.get_base_model()

    def loss(
        self,
        video: VideoTokens,
        instructions: Sequence[str],
        answers: Sequence[str],
        queries: Queries | None = None,
    ) -> Tensor:
        """Return the mean over the answers of each one's mean cross-entropy, ends included.

        `video` holds tokens (B, N, token_dim): a video for each instruction, or one that all are
        about, which is then read once. `queries` are the texts that single questions are about.
        """
        device = video.tokens.device
        about = queries or [None] * len(instructions)
        asked = [
            self._question_ids(text, query) for text, query in zip(instructions, about, strict=True)
        ]
        said = [self._answer_ids(text, query) for text, query in zip(answers, about, strict=True)]
        pairs = list(zip(asked, said, strict=True))
        starts = self._starts(video, len(pairs))
        shares = [pairs] if len(starts) == 1 else [[pair] for pair in pairs]
        rows = [
            QuestionRow(len(start), tuple(share))
            for start, share in zip(starts, shares, strict=True)
        ]
        self._check_length(max(row.longest for row in rows))
        embedded = [self._embed(row.ids) for row in rows]
        together = [torch.cat(parts) for parts in zip(starts, embedded, strict=True)]
        hidden = self.causal_lm.model(
            inputs_embeds=pad_sequence(together, batch_first=True),
            position_ids=positions_of(rows).to(device),
            use_cache=False,
            **({"parts": rows[0].parts} if len(rows) == 1 else {}),  # padding is behind all
        ).last_hidden_state[:, :-1]
        learned = targets_of(rows)[:, 1:].to(device) != NOT_LEARNED
        # Logits of other places would be computed for nothing.
        return mean_of_answers(self.causal_lm.lm_head(hidden[learned]), rows)

    @torch.inference_mode()
    def read(self, video: VideoTokens) -> list[ReadText]:
        """Read each of B videos and what stands before it, for all questions about it."""
        if self.training:
            raise ValueError("call eval() first: dropout would make each answer another one")
        return [
            read_text(self.causal_lm, start) for start in self._starts(video, len(video.tokens))
        ]

    @torch.inference_mode()
    def answer(
        self,
        read: Sequence[ReadText],
        instructions: Sequence[str],
        longest: Sequence[int],
        queries: Queries | None = None,
    ) -> list[Answer]:
        """Return greedily decoded answers, each of so many tokens at most, about what was read.

        The same input gives the same answer. One that says a line again ends there, unfinished: no
        right answer does so, and what says a line twice mostly says it until it is cut off.
        """
        about = queries or [None] * len(instructions)
        asked = [
            self._embed(self._question_ids(text, query))
            for text, query in zip(instructions, about, strict=True)
        ]
        for text, question, most in zip(read, asked, longest, strict=True):
            self._check_length(len(text) + len(question) + most)
        prompts = [
            read_text(self.causal_lm, question, text)
            for text, question in zip(read, asked, strict=True)
        ]
        end = int(self._ids(self.config.end_of_answer, special=True)[-1])

        def is_over(ids: list[int]) -> bool:
            return ids[-1] == end or self._says_a_line_again(ids)

        said = decode(self.causal_lm, prompts, longest, is_over)
        return [self._as_answer(ids, end) for ids in said]

    @torch.no_grad()
    def as_tokens(self, texts: Sequence[str]) -> Tensor:
        """Return (K, token_dim): what a video token would be that said each text.

        With lines its first `words` word pieces, `_FILLING` behind fewer; else the mean of all.
        """
        if self.config.lines is None:
            return self.embed_texts(texts)
        return torch.stack([self._embed(self._words(text)).flatten() for text in texts])

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (K, E): the mean of each text's input embeddings, a classifier of steps."""
        if not all(text.strip() for text in texts):
            raise ValueError("an empty text is no step")
        ids = [self._ids(text, special=False) for text in texts]
        return torch.stack([self._embed(row).mean(dim=0) for row in ids])

    def num_tokens(self, instruction: str, answer: str, query: str | None = None) -> int:
        """Return how many tokens a question has with its answer, without the video's."""
        asked = self._question_ids(instruction, query)
        return len(asked) + len(self._answer_ids(answer, query))

    def _starts(self, video: VideoTokens, num_questions: int) -> list[Tensor]:
        """Embed what questions share: embeddings (S_b, E) for each of B videos."""
        self._check_width(video)
        if len(video.tokens) not in (1, num_questions):
            raise ValueError(f"{num_questions} questions about {len(video.tokens)} videos")
        before = self._embed(self._ids(self.config.before_video, special=True))
        stretches = torch.stack([video.start_s, video.end_s], dim=-1).tolist()
        return [
            torch.cat([before, self._shown(tokens[:n].to(before.dtype), stretch[:n])])
            for tokens, n, stretch in zip(
                video.tokens, video.lengths.tolist(), stretches, strict=True
            )
        ]

    def _shown(self, tokens: Tensor, stretches: list[list[float]]) -> Tensor:
        """Return what is shown of the tokens (N, token_dim) of one video, (M, E).

        Lines stand in the order of their starts: windows overlap.
        """
        lines = self.config.lines
        if lines is None:
            return tokens
        quote = self._embed(self._ids("'", special=False))
        pieces = []
        spelled = tokens.view(len(tokens), lines.words, -1)
        for row in sorted(range(len(tokens)), key=lambda row: stretches[row][0]):
            start_s, end_s = stretches[row]
            behind = behind_words(start_s, end_s) if lines.times else "'\n"
            pieces += [quote, spelled[row], self._embed(self._ids(behind, special=False))]
        return torch.cat(pieces)

    def _question_ids(self, instruction: str, query: str | None = None) -> Tensor:
        after = self._ids(self.config.after_video, special=True)
        before = self._ids(self.config.before_answer, special=True)
        ids = [after, self._ids(instruction, special=False), before]
        if query is not None and self.config.lines is not None:
            quote, behind = self._ids("'", special=False), self._ids("':", special=False)
            ids += [quote, self._words(query), behind]
        return torch.cat(ids)

    def _words(self, text: str) -> Tensor:
        """Return the first word pieces of a text, as many as a line has, filled up."""
        assert self.config.lines is not None
        filling = self._ids(_FILLING, special=False)[-1:]
        ids = self._ids(text, special=False)[: self.config.lines.words]
        return torch.cat([ids, filling.expand(self.config.lines.words - len(ids))])

    def _as_answer(self, ids: list[int], end: int) -> Answer:
        """Return what was said as text: special tokens too, and the end of a line that is over."""
        is_finished = ids[-1] == end
        text: str = self.tokenizer.decode(ids[:-1] if is_finished else ids)
        return Answer(text.strip() if is_finished else text.lstrip(), is_finished)

    def _says_a_line_again(self, ids: list[int]) -> bool:
        """Tell whether the last token ended a line that was said before."""
        if "\n" not in self.tokenizer.decode(ids[-1:]):
            return False
        lines = [line.strip() for line in self.tokenizer.decode(ids).split("\n")[:-1]]
        return len(set(lines)) < len(lines)

    def _answer_ids(self, answer: str, query: str | None = None) -> Tensor:
        end = self._ids(self.config.end_of_answer, special=True)
        is_led = query is not None and self.config.lines is not None
        return torch.cat([self._ids(f" {answer}" if is_led else answer, special=False), end])

    def _ids(self, text: str, *, special: bool) -> Tensor:
        if self.tokenizer is None:
            raise LanguageModelError(f"{self.config.name} was built without its tokenizer")
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special)
        return torch.tensor(encoded["input_ids"], dtype=torch.int64)

    def _embed(self, ids: Tensor) -> Tensor:
        embed = self.causal_lm.get_input_embeddings()
        embeddings: Tensor = embed(ids.to(embed.weight.device))
        return embeddings

    def _check_width(self, video: VideoTokens) -> None:
        if video.tokens.shape[2] != self.config.token_dim:
            raise ValueError(
                f"video tokens are {video.tokens.shape[2]} wide, those that {self.config.name} is "
                f"shown {self.config.token_dim}; project the tokens first"
            )

    def _check_length(self, length: int) -> None:
        most = self.causal_lm.config.max_position_embeddings
        if length > most:
            raise LanguageModelError(
                f"{self.config.name} reads {most} tokens, video, instruction and answer are "
                f"{length}; use fewer segments or video queries, or a shorter instruction"
            )


def behind_words(start_s: float, end_s: float) -> str:
    """Return the text that ends a line: when what the words before it say is done.

    >>> behind_words(83.44, 90)
    "': 83.4 - 90.0 seconds\\n"
    """
    return f"': {write_time(start_s)} - {write_time(end_s)} seconds\n"


def _with_lora(model: Any, config: LanguageConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = config.lora
    assert lora is not None
    adapters = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
    )
    with warnings.catch_warnings():
        # peft 0.21.2 asks transformers 5.23.0 by a name that the latter is giving up
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, adapters)
