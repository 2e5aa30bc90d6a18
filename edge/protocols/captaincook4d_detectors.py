"""What accuses steps of being missed or out of order, from step evidence: systems and baselines.

A further detector is added in `DETECTORS`, which is all that the protocol knows of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.pipeline import decoder_config, ordered_decoder
from edge.protocols.captaincook4d_truth import JUDGED_KINDS, JudgedKind
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.alarm_judge import AlarmJudge
from models.calibration import AS_SCORED
from models.decoder import Floats, StreamDecoder
from models.deviations import CycleMonitor, Deviation, Finding, MonitorConfig

MIN_DWELL_FRAMES = 3
"""The edge's least dwell, 0.6 s, in frames of its own 5 a second."""

SEEN_S = 5.0
"""A step is seen as surely as the mean of so many seconds says at best."""

_WHOLE_S = 1e7  # no pause of a recording is as long
_ONE_UNIT = MonitorConfig(idle_end_s=_WHOLE_S, handover_s=_WHOLE_S)


@dataclass(frozen=True)
class Accusation:
    """`step` is called missed or out of order; a higher `score` is surer.

    `said_s` is the time of the newest row of evidence that was looked at; a step may be accused
    again with a higher score later.
    """

    kind: JudgedKind
    step: str
    score: float
    said_s: float


Accuse = Callable[[Procedure, Sequence[str], Floats, Floats], list[Accusation]]
"""Takes a procedure, labels (K), probabilities (T, K) and their times (T,) of one unit."""


@dataclass(frozen=True)
class Detector:
    """A way to accuse; an accusation counts from `threshold` on, where one must be chosen."""

    accuse: Accuse
    threshold: float = 0.5


def never(
    procedure: Procedure,  # noqa: ARG001 (a detector)
    labels: Sequence[str],  # noqa: ARG001
    rows: Floats,  # noqa: ARG001
    times_s: Floats,  # noqa: ARG001
) -> list[Accusation]:
    """Accuse nobody."""
    return []


def always(
    procedure: Procedure,
    labels: Sequence[str],  # noqa: ARG001
    rows: Floats,  # noqa: ARG001
    times_s: Floats,
) -> list[Accusation]:
    """Call every step missed and out of order, at the end."""
    end_s = float(times_s[-1])
    return [Accusation(kind, s.id, 1.0, end_s) for kind in JUDGED_KINDS for s in procedure.steps]


def argmax_set_difference(
    procedure: Procedure, labels: Sequence[str], rows: Floats, times_s: Floats
) -> list[Accusation]:
    """Take each frame's best label for what was done, and compare with the procedure."""
    first: dict[str, tuple[float, float]] = {}
    for index, time_s in zip(rows.argmax(axis=1).tolist(), times_s.tolist(), strict=True):
        first.setdefault(labels[index], (time_s, time_s))
    return set_difference(procedure, first, float(times_s[-1]))


def dwell_set_difference(
    procedure: Procedure, labels: Sequence[str], rows: Floats, times_s: Floats
) -> list[Accusation]:
    """Take the decoder's segments of a least dwell for what was done, and compare."""
    period_s = _period_s(times_s)
    config = replace(decoder_config(1 / period_s), min_dwell_s=MIN_DWELL_FRAMES * period_s)
    first: dict[str, tuple[float, float]] = {}
    decoder = StreamDecoder(labels, config=config)
    for segments, now_s in _decoded(decoder, rows, times_s):
        for segment in segments:
            first.setdefault(segment.label, (segment.start_s, now_s))
    return set_difference(procedure, first, float(times_s[-1]))


def set_difference(
    procedure: Procedure, first: Mapping[str, tuple[float, float]], end_s: float
) -> list[Accusation]:
    """Compare what was seen with the procedure.

    `first` has for each step seen when that began at first, and when it was known. A required
    step that was not seen is missed, said at the end; one that was seen before one that must
    precede it is out of order, said when that is known.
    """
    missed = procedure.required() - first.keys()
    out = [Accusation("missed", s.id, 1.0, end_s) for s in procedure.steps if s.id in missed]
    for step in (s.id for s in procedure.steps if s.id in first):
        start_s, known_s = first[step]
        before = [first[name] for name in procedure.predecessors(step) & first.keys()]
        if late := [late_known_s for late_s, late_known_s in before if late_s > start_s]:
            out.append(Accusation("out_of_order", step, 1.0, max(known_s, min(late))))
    return out


def fuzzy_set_difference(
    procedure: Procedure, labels: Sequence[str], rows: Floats, times_s: Floats
) -> list[Accusation]:
    """Compare how surely each step was seen at best; all is said at the end.

    Seen is the best mean over `SEEN_S`; missed is 1 less that. A step is out of order as far as,
    at some time, it was seen, one that must precede it was not, and was seen after that.
    """
    from models.baselines import context_mean  # which imports PyTorch

    end_s = float(times_s[-1])
    seen = context_mean(rows, round(SEEN_S / _period_s(times_s)) // 2)  # (T, K)
    so_far = np.maximum.accumulate(seen, axis=0)
    from_then = np.maximum.accumulate(seen[::-1], axis=0)[::-1]
    column = {label: index for index, label in enumerate(labels)}
    required = procedure.required()
    out: list[Accusation] = []
    for step in procedure.steps:
        own = so_far[:, column[step.id]]
        if step.id in required:
            out.append(Accusation("missed", step.id, 1 - float(own[-1]), end_s))
        degrees = [
            float(np.minimum.reduce([own, 1 - so_far[:, n], from_then[:, n]]).max())
            for n in (column[name] for name in procedure.predecessors(step.id))
        ]
        if degrees:
            out.append(Accusation("out_of_order", step.id, max(degrees), end_s))
    return out


def monitor(config: MonitorConfig | None, *, ordered: bool, weighed: bool = False) -> Accuse:
    """Return the product's way: decoder and cycle monitor; what is confirmed at last counts.

    It counts from when it was first said, as a suspicion. The decoder knows the order of the steps
    where `ordered`, and else frames alone; without `config` the monitor has the station's.
    Something else in a step's place is a missed step. Where `weighed`, an accusation's score is the
    alarm judge's, from what the frames say of the step; else all have the same.
    """

    def accuse(
        procedure: Procedure, labels: Sequence[str], rows: Floats, times_s: Floats
    ) -> list[Accusation]:
        newest: dict[str, Deviation] = {}
        period_s = _period_s(times_s)
        decoder = StreamDecoder(labels, config=decoder_config(1 / period_s))
        if ordered:
            decoder = ordered_decoder(labels, procedure, 1 / period_s)
        watching = CycleMonitor(procedure, config or MonitorConfig.of(procedure))
        judge = AlarmJudge(procedure, labels, AS_SCORED, period_s=period_s) if weighed else None
        for finding in _monitored(watching, decoder, judge, rows, times_s):
            if isinstance(finding, Deviation):
                newest[finding.id] = finding
        confirmed = [d for d in newest.values() if d.state == "confirmed"]
        return [
            Accusation(kind, d.step, 1.0 if d.probability is None else d.probability, d.detected_s)
            for d in confirmed
            for kind in JUDGED_KINDS
            if ("missed" if d.kind == "wrong_part" else d.kind) == kind
        ]

    return accuse


def _monitored(
    watching: CycleMonitor,
    decoder: StreamDecoder,
    judge: AlarmJudge | None,
    rows: Floats,
    times_s: Floats,
) -> Iterator[Finding]:
    def judged(findings: list[Finding], now_s: float) -> list[Finding]:
        return findings if judge is None else judge.judge(findings, now_s)

    for place, (segments, now_s) in enumerate(_decoded(decoder, rows, times_s)):
        if judge is not None:
            judge.see(rows[place : place + 1], times_s[place : place + 1])  # none at the close
        for segment in segments:
            if judge is not None:
                judge.take(segment)
            yield from judged(watching.observe(segment, now_s), now_s)
        seen_until_s = decoder.seen_until_s
        running = watching.watch(decoder.running, now_s, seen_until_s=seen_until_s)
        yield from judged(running, now_s)
    yield from judged(watching.close(float(times_s[-1])), float(times_s[-1]))


def _decoded(
    decoder: StreamDecoder, rows: Floats, times_s: Floats
) -> Iterator[tuple[list[Segment], float]]:
    """Yield what each row decides, and the time of the row."""
    for row, time_s in zip(rows, times_s, strict=True):
        yield decoder.push(row[np.newaxis], np.array([time_s])), float(time_s)
    yield decoder.close(), float(times_s[-1])


def _period_s(times_s: Floats) -> float:
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0


DETECTORS: Mapping[str, Detector] = {
    "never alarm": Detector(never),
    "always alarm": Detector(always),
    "argmax + set difference": Detector(argmax_set_difference),
    "minimum dwell + set difference": Detector(dwell_set_difference),
    "fuzzy set difference": Detector(fuzzy_set_difference),
    "linewatch": Detector(monitor(None, ordered=True)),
    "linewatch, weighed": Detector(monitor(None, ordered=True, weighed=True)),
    "linewatch, one unit told": Detector(monitor(_ONE_UNIT, ordered=True)),
    "decoder without order, one unit told": Detector(monitor(_ONE_UNIT, ordered=False)),
}
