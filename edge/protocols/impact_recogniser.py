"""How a real recogniser errs, measured on IKEA ASM's published networks, and steps seen through it.

The networks' mean probability goes through the project's own decoder, frame by frame. A true step
is seen where a decoded segment of its label overlaps it; taken for another where one of another
label has its most frames there; else it is not seen. What is left over was invented. `NA` and
`other` are no steps. IMPACT's steps are degraded with these shares: which step a wrong label names
is not a thing that carries over, only whether it is one of the same recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from industryasm.frame_times import FrameTimes
from industryasm.segment import Segment, runs
from industryasm.sets.npz_file import NpzFile
from industryasm.sets.set_error import SetError
from industryasm.vocabulary import BACKGROUND
from models.confusion import Confusion
from models.decoder import DecoderConfig, StreamDecoder
from models.procedure_metrics import Completion

RATE_HZ = 5.0
TEMPER, SWITCH_PENALTY = 1.0, 1.0
"""Of five settings tried on IKEA ASM on 2026-11-22 the one with the best F1 of steps there. The
decoder's own default (0.3 and 2) sees 36 % of the steps, for many are shorter than two seconds."""
NO_STEPS = ("NA", "other")
EVIDENCE = "evidence_5fps.npz"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decoded:
    """A decoded segment, and the time at which it was given out."""

    segment: Segment
    now_s: float


@dataclass(frozen=True, eq=False)
class Recogniser:
    """What becomes of a step: seen, taken for another, or not seen; and what is invented.

    `recall` and `confusion` are shares of the true steps, `inventions` the number for each of them;
    `kinship` is the share of wrong labels that are steps of the same recording. `delays_s` (N,)
    are the measured times from the end of a step until it was given out, ascending.
    """

    num_steps: int
    recall: float
    confusion: float
    inventions: float
    kinship: float
    delays_s: Floats

    @property
    def precision(self) -> float:
        """The share of what is given out that is right."""
        return self.recall / (self.recall + self.confusion + self.inventions)

    def figures(self) -> dict[str, float]:
        """Return the shares, and the delay's quantiles in seconds, by name."""
        early, median, late = np.quantile(self.delays_s, [0.05, 0.5, 0.95]).tolist()
        return {
            "recall": self.recall,
            "confused": self.confusion,
            "invented": self.inventions,
            "precision": self.precision,
            "delay p5": early,
            "median": median,
            "p95": late,
        }

    def as_confusion(self, steps: Sequence[str]) -> Confusion:
        """Return the shares as counts over background and `steps`, which are all alike.

        A completion that is seen, mistaken or not seen is a frame of its step, and a run; what is
        invented are frames of background, of which there are as many as completions.
        """
        size, number = len(steps), float(self.num_steps)
        unseen = max(0.0, 1 - self.recall - self.confusion)
        said = np.full((size + 1, size + 1), self.confusion / max(size - 1, 1))
        np.fill_diagonal(said, self.recall)
        said[:, 0] = unseen
        said[0] = self.inventions / size
        said[0, 0] = max(0.0, 1 - self.inventions)
        said_runs = np.zeros((size + 1, size + 1), np.int64)
        np.fill_diagonal(said_runs[1:, 1:], seen := round(self.recall * self.num_steps))
        said_runs[1:, 0] = self.num_steps - seen
        return Confusion(
            labels=(BACKGROUND, *steps),
            said_frames=tuple(tuple(row) for row in (number * said).tolist()),
            said_runs=tuple(tuple(row) for row in said_runs.tolist()),
        )

    def with_errors(self, factor: float) -> Recogniser:
        """Return a recogniser that errs `factor` times as often, which nobody measured."""
        return replace(
            self,
            recall=1 - factor * (1 - self.recall),
            confusion=factor * self.confusion,
            inventions=factor * self.inventions,
        )

    def observe(
        self,
        completions: Sequence[Completion],
        *,
        others: Sequence[int],
        end_frame: int,
        rate_hz: float,
        rng: np.random.Generator,
    ) -> list[Completion]:
        """Return what this recogniser would say of a recording's completions, in its order.

        Wrong labels are drawn from the other steps of the recording, or from `others` (sorted),
        the steps of the vocabulary; frames stay within [0, `end_frame` + the longest delay].
        """
        own = sorted({entry.step for entry in completions})
        said: list[Completion] = []
        for entry in completions:
            fate = rng.random()
            if fate < self.recall + self.confusion:
                right = fate < self.recall
                step = entry.step if right else self._wrong(entry.step, own, others, rng)
                said.append(Completion(self._later(entry.frame, rate_hz, rng), step))
        for _ in range(int(rng.poisson(self.inventions * len(completions)))):
            frame = int(rng.integers(end_frame + 1))
            said.append(Completion(frame, self._wrong(None, own, others, rng)))
        return sorted(said)

    def _later(self, frame: int, rate_hz: float, rng: np.random.Generator) -> int:
        return max(0, frame + round(float(rng.choice(self.delays_s)) * rate_hz))

    def _wrong(
        self, step: int | None, own: Sequence[int], others: Sequence[int], rng: np.random.Generator
    ) -> int:
        kin = [other for other in own if other != step]
        pool = kin if kin and rng.random() < self.kinship else [o for o in others if o != step]
        return int(pool[int(rng.integers(len(pool)))])


def measured_recogniser(folder: Path) -> Recogniser:
    """Measure the recogniser on the evidence in `folder`; raise `SetError` for damaged evidence."""
    file = NpzFile(folder / EVIDENCE)
    labels, num_models = file.texts("labels"), len(file.texts("models"))
    names = [BACKGROUND if label in NO_STEPS else label for label in labels]
    fates: list[_Fates] = []
    for index in range(len(file.texts("cases"))):
        scores = file.numbers(f"x{index}", dims=2).astype(np.float64)
        truth = file.numbers(f"y{index}", dims=1)
        if scores.shape != (len(truth), num_models * len(labels)) or not len(truth):
            raise SetError(f"{file.path}: x{index}: {scores.shape} does not fit y{index}")
        if truth.min() < 0 or truth.max() >= len(labels):
            raise SetError(f"{file.path}: y{index}: has a value that is none of the labels")
        mean = scores.reshape(len(truth), num_models, len(labels)).mean(axis=1)  # (T, K)
        frames = FrameTimes.regular(num_frames=len(truth), rate_hz=RATE_HZ)
        known = [
            Segment(frames.start_of(start), frames.start_of(end), name)
            for name, start, end in runs([names[i] for i in truth.tolist()])
            if name != BACKGROUND
        ]
        fates.append(_fates(known, decoded(_by_name(mean, names), frames)))
    return _recogniser(fates)


def decoded(evidence: dict[str, Floats], frames: FrameTimes) -> list[Decoded]:
    """Stream probabilities (T,) by label through the decoder, one frame after the other."""
    config = DecoderConfig(temper=TEMPER, switch_penalty=SWITCH_PENALTY, period_s=1 / RATE_HZ)
    decoder = StreamDecoder(tuple(evidence), config=config)
    rows = np.stack(list(evidence.values()), axis=1)  # (T, K)
    rows /= rows.sum(axis=1, keepdims=True)
    out: list[Decoded] = []
    for row, time_s in zip(rows, frames.starts_s, strict=True):
        for segment in decoder.push(row[np.newaxis], np.array([time_s])):
            out.append(Decoded(segment, float(time_s)))
    return out + [Decoded(segment, frames.end_s) for segment in decoder.close()]


@dataclass(frozen=True)
class _Fates:
    """What became of one recording's steps."""

    num_steps: int
    delays_s: tuple[float, ...]
    num_confused: int
    num_invented: int
    num_wrong_kin: int


def _fates(known: Sequence[Segment], said: Sequence[Decoded]) -> _Fates:
    own = {segment.label for segment in known}
    free = list(said)
    delays: list[float] = []
    unseen: list[Segment] = []
    for step in known:
        seen = [d for d in free if d.segment.label == step.label and _shared_s(step, d.segment) > 0]
        if not seen:
            unseen.append(step)
            continue
        best = max(seen, key=lambda found: _shared_s(step, found.segment))
        free.remove(best)
        delays.append(best.now_s - step.end_s)
    wrong = list(free)
    num_confused = 0
    for step in unseen:
        taken = next((d for d in free if _mostly(d.segment, known) is step), None)
        if taken is not None:
            free.remove(taken)
            num_confused += 1
    return _Fates(
        num_steps=len(known),
        delays_s=tuple(delays),
        num_confused=num_confused,
        num_invented=len(free),
        num_wrong_kin=sum(d.segment.label in own for d in wrong),
    )


def _recogniser(fates: Sequence[_Fates]) -> Recogniser:
    num_steps = sum(one.num_steps for one in fates)
    delays = sorted(delay for one in fates for delay in one.delays_s)
    if not delays:
        raise SetError("the recogniser's evidence holds no step that was seen")
    num_confused = sum(one.num_confused for one in fates)
    num_invented = sum(one.num_invented for one in fates)
    num_wrong = num_confused + num_invented
    return Recogniser(
        num_steps=num_steps,
        recall=len(delays) / num_steps,
        confusion=num_confused / num_steps,
        inventions=num_invented / num_steps,
        kinship=sum(one.num_wrong_kin for one in fates) / num_wrong if num_wrong else 0.0,
        delays_s=np.array(delays),
    )


def _by_name(mean: Floats, names: Sequence[str]) -> dict[str, Floats]:
    """Sum the columns of (T, K) that have one name, such as the two that are no steps."""
    return {
        name: mean[:, [i for i, other in enumerate(names) if other == name]].sum(axis=1)
        for name in dict.fromkeys(names)
    }


def _mostly(segment: Segment, known: Sequence[Segment]) -> Segment | None:
    best = max(known, key=lambda step: _shared_s(step, segment), default=None)
    return best if best is not None and _shared_s(best, segment) > 0 else None


def _shared_s(a: Segment, b: Segment) -> float:
    return min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
