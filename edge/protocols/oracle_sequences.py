"""Real step sequences of Assembly101 and IMPACT, with what is known to be wrong in them.

What the sets' words mean here (the importers count what they cannot map):

- Assembly101, `mistake` with the remark "wrong order" or "previous one is a mistake" (and their
  slips): an order error of that step. "wrong position": done wrongly, no matter of order.
  "shouldn't have happened": needless work. `correction`: a part is taken off again. The latter
  three are in the sequence and are no truth of either kind. No label says that a step is missing.
- IMPACT, coarse steps: no label is of order or of a missing step (ANOMALY and RECOVERY are of how a
  hand works, and every trial has some).
- IMPACT, procedure steps: a part that is not where it belongs at the end of its trial is a missing
  step, by the published states. No label is of order.

Missing steps are planted where no label has them: one required step is left out of a sequence
without a mistake, each in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from edge.protocols.impact_labels import RATE_HZ, Trial, read_trials
from industryasm.recording import DataSet, Recording
from industryasm.repairs import Repairs
from industryasm.segment import Segment
from industryasm.sets import assembly101, impact

ORDER_REMARK = "wrong order"
_SHORT_S = 0.1  # a completion has no length


@dataclass(frozen=True)
class StepSequence:
    """The steps of one unit of `product`, in the order of time, and the truth about them.

    `early` are the steps labelled as done in a wrong order, `called_early` those of them whose
    remark is "wrong order" itself; `missing` those labelled as missing, None where the set has no
    label for that. Procedures are learned from sequences that are `normal`.
    """

    id: str
    product: str
    segments: tuple[Segment, ...]
    normal: bool
    early: frozenset[str] = frozenset()
    called_early: frozenset[str] = frozenset()
    missing: frozenset[str] | None = None

    @property
    def steps(self) -> frozenset[str]:
        """The steps that were done."""
        return frozenset(segment.label for segment in self.segments)

    def without(self, step: str) -> StepSequence:
        """Return the sequence as it were if `step` had been left out."""
        kept = tuple(segment for segment in self.segments if segment.label != step)
        return StepSequence(self.id, self.product, kept, normal=False, missing=frozenset({step}))

    def of_family(self) -> StepSequence:
        """Return the sequence as one of its family of toys: `toy-b04a` is one of `toy-b04`."""
        return replace(self, product=self.product.rstrip("abcdefgh"))


def toy_sequences(folder: Path, repairs: Repairs) -> list[StepSequence]:
    """Read Assembly101's mistakes, product by toy; normal is a sequence without any label."""
    return [_toy_sequence(r) for r in _imported(assembly101.import_set, folder, repairs)]


def grinder_sequences(folder: Path, repairs: Repairs) -> list[StepSequence]:
    """Read IMPACT's coarse steps, product by direction; all are normal, for none is labelled."""
    return [
        StepSequence(recording.id, recording.task, tuple(recording.spans()), normal=True)
        for recording in _imported(impact.import_set, folder, repairs)
    ]


def part_sequences(folder: Path, repairs: Repairs) -> list[StepSequence]:
    """Read IMPACT's procedure steps from its folder `psr`, product by direction.

    Normal is a trial in which each part is where it belongs at the end, after one completion.
    """
    return [part_sequence(trial) for trial in read_trials(folder, repairs)]


def part_sequence(trial: Trial) -> StepSequence:
    """Return the right completions of a trial as its steps, named by their numbers."""
    segments = tuple(
        Segment(entry.frame / RATE_HZ, entry.frame / RATE_HZ + _SHORT_S, str(entry.step))
        for entry in trial.completions
    )
    missing = frozenset(map(str, trial.missing))
    normal = not missing and not trial.is_undone_somewhere
    return StepSequence(trial.id, trial.direction, segments, normal, missing=missing)


def _toy_sequence(recording: Recording) -> StepSequence:
    early = [d for d in recording.deviations if d.kind == "out_of_order"]
    return StepSequence(
        recording.id,
        recording.task,
        tuple(recording.spans()),
        normal=not recording.deviations,
        early=frozenset(d.step for d in early),
        called_early=frozenset(d.step for d in early if d.note.lower() == ORDER_REMARK),
    )


class _Importer(Protocol):
    def __call__(self, source: Path, target: Path, repairs: Repairs) -> None: ...


def _imported(importer: _Importer, folder: Path, repairs: Repairs) -> Sequence[Recording]:
    with TemporaryDirectory(prefix="linewatch-oracle-") as target:
        importer(folder, Path(target) / "set", repairs)
        return list(DataSet(Path(target) / "set").recordings())
