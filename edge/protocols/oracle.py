"""The oracle protocol: deviations from true steps, so that no recogniser stands in between.

Random partial orders, where the truth is exact, and real sequences of Assembly101 and IMPACT,
judged by procedures learned from other sequences of the same product, beside the baselines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.protocols.oracle_agreement import Agreement, agreement, watch
from edge.protocols.oracle_procedure import learned_procedure
from edge.protocols.oracle_sequences import (
    StepSequence,
    grinder_sequences,
    part_sequences,
    toy_sequences,
)
from industryasm.fault import UserFault
from industryasm.procedure import Procedure
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from models.exact_deviations import exact_deviations

NUM_CASES = 10_000
TOY_SUPPORT, FAMILY_SUPPORT, GRINDER_SUPPORT = (2, 1), (2, 3, 5), 5
"""In how many other sequences an order must be seen to be believed. Few toys were built without a
mistake by three people or more, so families of toys that differ in a part are shown beside them."""

_SLOT_S = 5.0  # only the order of the steps is judged, so each gets a slot of its own
_WORK_S = 4.5


@dataclass(frozen=True)
class Found:
    """Steps that were rightly, wrongly and not called deviating."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share in percent of what was called that is so; 0 where nothing was called."""
        return _percent(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share in percent of what is so that was called; 0 where nothing is."""
        return _percent(self.right, self.right + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall in percent."""
        return _percent(2 * self.right, 2 * self.right + self.wrong + self.missed)

    def plain(self) -> dict[str, float]:
        """Return counts and figures as JSON values."""
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return asdict(self) | {name: round(value, 1) for name, value in figures.items()}


@dataclass(frozen=True)
class Alarms:
    """The steps that a system calls out of order, and those it calls missed."""

    order: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


System = Callable[[Procedure, Sequence[Segment]], Alarms]


@dataclass(frozen=True)
class SequenceReport:
    """One set's sequences: figures by system, None for a kind that the set has no truth of.

    `num_judged` of `num_sequences` had enough others to learn from; of the `num_planted` ones a
    step was left out. `alarmed_normal` says by system in how many of the `num_normal` normal
    sequences, as they are, anything was called.
    """

    name: str
    support: int
    num_sequences: int
    num_judged: int
    num_normal: int
    num_planted: int
    num_divided: int
    order: dict[str, Found] | None
    missing: dict[str, Found]
    alarmed_normal: dict[str, int]
    called_early: tuple[int, int] | None

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        values = asdict(self)
        values["order"] = self.order and {name: f.plain() for name, f in self.order.items()}
        values["missing"] = {name: found.plain() for name, found in self.missing.items()}
        return values

    def rows(self) -> list[str]:
        """Word the report as the rows of a table."""
        head = (
            f"{self.name}: {self.num_judged} of {self.num_sequences} sequences judged, orders seen "
            f"in {self.support} others or more; {self.num_planted} steps left out"
        )
        told = f"the monitor saw more than one unit in {self.num_divided} of {self.num_judged}"
        if self.called_early is not None:
            told += f'; of "wrong order" itself, {self.called_early[0]} of {self.called_early[1]}'
        columns = f"{'':34} order: P     R    F1   missing: P     R    F1   normal alarmed"
        return [head, columns, *(self._row(name) for name in self.missing), told, ""]

    def _row(self, name: str) -> str:
        order = "    -     -     -" if self.order is None else _figures(self.order[name])
        normal = f"{self.alarmed_normal[name]} of {self.num_normal}"
        return f"{name:34}     {order}       {_figures(self.missing[name])}   {normal:>14}"


@dataclass(frozen=True)
class OracleReport:
    """What the protocol found, and what the readers mended."""

    agreement: Agreement
    sequences: tuple[SequenceReport, ...]
    repairs: dict[str, int]

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "agreement": asdict(self.agreement),
            "sequences": [report.plain() for report in self.sequences],
            "repairs": self.repairs,
        }

    def table(self) -> str:
        """Word the report for a terminal."""
        found = self.agreement
        lines = [
            f"{found.num_cases} random streams on random partial orders",
            f"judged as the definition does, in the monitor's own cycles: {found.judged}",
            f"as the units that were built: {found.whole}",
            f"fewer steps called out of order than must be moved: {found.below_moves}, "
            f"more: {found.above_moves}",
            f"of {found.num_plain} with one reading of the units: {found.plain_whole}",
            *(
                f"{kind} in {number}, smallest: {found.smallest[kind]}"
                for kind, number in sorted(found.differing.items())
            ),
            "",
        ]
        return "\n".join([*lines, *(row for report in self.sequences for row in report.rows())])


def report(data: Path, *, num_cases: int = NUM_CASES) -> OracleReport:
    """Judge random streams and the sets in the folder `data` that holds them.

    Raises `UserFault` for a folder that holds neither, `SetError` for a damaged file.
    """
    toys, grinder = data / "assembly101_mistakes", data / "impact"
    if not toys.is_dir() and not grinder.is_dir():
        raise UserFault(f"{data}: holds no folder assembly101_mistakes or impact")
    repairs = Repairs()
    judged: list[SequenceReport] = []
    if toys.is_dir():
        sequences = toy_sequences(toys, repairs)
        judged += [judge("Assembly101, same toy", sequences, support=n) for n in TOY_SUPPORT]
        families = [sequence.of_family() for sequence in sequences]
        judged += [judge("Assembly101, same family", families, support=n) for n in FAMILY_SUPPORT]
    if grinder.is_dir():
        coarse = grinder_sequences(grinder, repairs)
        judged.append(judge("IMPACT, coarse steps", coarse, support=GRINDER_SUPPORT))
        parts = part_sequences(grinder / "psr", repairs)
        judged.append(judge("IMPACT, procedure steps", parts, support=GRINDER_SUPPORT))
    return OracleReport(agreement(num_cases), tuple(judged), dict(repairs.counts))


def judge(name: str, sequences: Sequence[StepSequence], *, support: int) -> SequenceReport:
    """Judge each sequence by what the other normal ones of its product teach, each left out once.

    Order errors are those labelled. Missing steps are those labelled, where the set has such
    labels; else one required step is left out of each normal sequence, each in turn.
    """
    judged = list(_with_procedures(sequences, support))
    normal = [(s, p) for s, p in judged if s.normal]
    labelled = any(s.missing is not None for s in sequences)
    incomplete = judged if labelled else list(_planted(normal))
    has_order = any(s.early for s in sequences)
    order = {
        system: _sum(_compared(s.early, alarms(p, s.segments).order) for s, p in judged)
        for system, alarms in SYSTEMS.items()
    }
    called = [(s.called_early, _monitor(p, s.segments).order) for s, p in judged]
    return SequenceReport(
        name=name,
        support=support,
        num_sequences=len(sequences),
        num_judged=len(judged),
        num_normal=len(normal),
        num_planted=0 if labelled else len(incomplete),
        num_divided=sum(len(watch(p, _slots(s.segments)).cycles) > 1 for s, p in judged),
        order=order if has_order else None,
        missing={
            system: _sum(
                _compared(s.missing or frozenset(), alarms(p, s.segments).missing)
                for s, p in incomplete
            )
            for system, alarms in SYSTEMS.items()
        },
        alarmed_normal={
            system: sum(alarms(p, s.segments) != Alarms() for s, p in normal)
            for system, alarms in SYSTEMS.items()
        },
        called_early=(
            (sum(len(truth & got) for truth, got in called), sum(len(t) for t, _ in called))
            if has_order
            else None
        ),
    )


def _with_procedures(
    sequences: Sequence[StepSequence], support: int
) -> Iterable[tuple[StepSequence, Procedure]]:
    by_product: dict[str, list[StepSequence]] = defaultdict(list)
    for sequence in sequences:
        by_product[sequence.product].append(sequence)
    for sequence in sequences:
        others = [
            o.segments for o in by_product[sequence.product] if o.normal and o is not sequence
        ]
        procedure = learned_procedure(others, at_least=support)
        if procedure is not None and sequence.segments:
            yield sequence, procedure


def _planted(
    normal: Sequence[tuple[StepSequence, Procedure]],
) -> Iterable[tuple[StepSequence, Procedure]]:
    for sequence, procedure in normal:
        for step in sorted(procedure.required() & sequence.steps):
            if sequence.steps != {step}:
                yield sequence.without(step), procedure


def _monitor(procedure: Procedure, segments: Sequence[Segment]) -> Alarms:
    watched = watch(procedure, _slots(segments))
    return _alarms(found for exact in watched.confirmed.values() for found in exact)


def _definition(procedure: Procedure, segments: Sequence[Segment]) -> Alarms:
    return _alarms(exact_deviations(procedure, segments))


def _never(procedure: Procedure, segments: Sequence[Segment]) -> Alarms:  # noqa: ARG001
    return Alarms()


def _always(procedure: Procedure, segments: Sequence[Segment]) -> Alarms:
    return Alarms(frozenset(segment.label for segment in segments), procedure.required())


def _set_difference(procedure: Procedure, segments: Sequence[Segment]) -> Alarms:
    return Alarms(missing=procedure.required() - {segment.label for segment in segments})


SYSTEMS: Mapping[str, System] = {
    "linewatch, streaming monitor": _monitor,
    "definition, whole sequence": _definition,
    "set difference": _set_difference,
    "always alarm": _always,
    "never alarm": _never,
}


def _slots(segments: Sequence[Segment]) -> list[Segment]:
    return [
        Segment(_SLOT_S * index, _SLOT_S * index + _WORK_S, segment.label)
        for index, segment in enumerate(segments)
    ]


def _alarms(found: Iterable[tuple[str, str]]) -> Alarms:
    pairs = set(found)
    return Alarms(
        frozenset(step for kind, step in pairs if kind == "out_of_order"),
        frozenset(step for kind, step in pairs if kind in ("missed", "wrong_part")),
    )


def _compared(truth: frozenset[str], called: frozenset[str]) -> Found:
    return Found(len(truth & called), len(called - truth), len(truth - called))


def _sum(parts: Iterable[Found]) -> Found:
    return sum(parts, start=Found())


def _percent(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else 0.0


def _figures(found: Found) -> str:
    return f"{found.precision:5.1f} {found.recall:5.1f} {found.f1:5.1f}"
