"""The IMPACT protocol: step completions seen through a measured recogniser, scored as IndustReal.

The true completions of each trial are degraded as IKEA ASM's published networks err, and tracked
as a stream. The procedure of a trial is learned from the other normal trials of its direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.evaluation.table_cell import mean_and_spread
from edge.protocols.impact_labels import RATE_HZ, Trial, part_of, read_trials
from edge.protocols.impact_recogniser import Recogniser, measured_recogniser
from edge.protocols.impact_trackers import TRACKERS, Tracker
from edge.protocols.oracle_procedure import learned_procedure
from edge.protocols.oracle_sequences import part_sequence
from industryasm.fault import UserFault
from industryasm.procedure import Procedure
from industryasm.repairs import Repairs
from models.procedure_metrics import (
    Completion,
    ProcedureScore,
    clean_mean,
    clean_score,
    published_mean,
    published_score,
)

NUM_SEEDS = 5
SUPPORT = 5  # in how many other trials an order must be seen to be believed
FEWER_ERRORS = 0.25
"""A second, better recogniser that nobody measured: the measured one misses half of the steps."""


@dataclass(frozen=True)
class TrackerScores:
    """One tracker's scores, one for each seed; by the published code, and by the clean metric."""

    published: tuple[ProcedureScore, ...]
    clean: tuple[ProcedureScore, ...]

    def row(self, name: str) -> str:
        """Word the scores as a row: POS, F1 in percent and delay in seconds, twice."""
        return f"{name:34} {_cells(self.published)}   {_cells(self.clean)}"

    def plain(self) -> dict[str, Any]:
        """Return the scores of each seed as JSON values, the delay in frames."""
        return asdict(self)


@dataclass(frozen=True)
class ImpactReport:
    """What the protocol found: scores by recogniser and tracker, over `num_trials` trials.

    `num_undone` trials have a step twice or undone, which no tracker here knows of;
    `truth_itself` is what the truth, given as the prediction, gets, and `truth_late` what it gets
    one frame later; `removals_listed` of `removals_done` are in the publisher's list with errors.
    """

    num_trials: int
    num_completions: int
    num_undone: int
    removals_done: int
    removals_listed: int
    recognisers: dict[str, dict[str, float]]
    truth_itself: TrackerScores
    truth_late: TrackerScores
    scores: dict[str, dict[str, TrackerScores]]
    repairs: dict[str, int]

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def table(self) -> str:
        """Word the report for a terminal."""
        lines = [
            f"IMPACT, {self.num_trials} trials, {self.num_completions} completions, "
            f"{NUM_SEEDS} seeds (0 to {NUM_SEEDS - 1}); {self.num_undone} trials undo or redo a "
            f"step; {self.removals_listed} of {self.removals_done} removals are in the list with "
            f"errors",
            f"{'':34} as published: POS, F1, delay s      clean: POS, F1, delay s",
            self.truth_itself.row("the truth itself"),
            self.truth_late.row("the truth, one frame late"),
        ]
        for recogniser, by_tracker in self.scores.items():
            figures = self.recognisers[recogniser]
            told = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            lines += ["", f"{recogniser}: {told}"]
            lines += [scores.row(name) for name, scores in by_tracker.items()]
        return "\n".join(lines)


def report(data: Path, *, num_seeds: int = NUM_SEEDS) -> ImpactReport:
    """Judge the trackers on `data`/impact/psr, through the recogniser of `data`/ikea_asm.

    Raises `UserFault` where a folder is not there, `SetError` for a damaged file.
    """
    for folder in (data / "impact" / "psr", data / "ikea_asm"):
        if not folder.is_dir():
            raise UserFault(f"{folder}: is not there; give the folder that holds impact, ikea_asm")
    repairs = Repairs()
    trials = read_trials(data / "impact" / "psr", repairs)
    procedures = trial_procedures(trials)
    measured = measured_recogniser(data / "ikea_asm")
    recognisers = {
        "measured on IKEA ASM": measured,
        f"{FEWER_ERRORS:g} times its errors (not measured)": measured.with_errors(FEWER_ERRORS),
    }
    removed = [e for t in trials for e in t.completions if e.step == 3 * part_of(e.step) + 2]
    listed = [e for t in trials for e in t.with_errors if e.step == 3 * part_of(e.step) + 2]
    return ImpactReport(
        num_trials=len(trials),
        num_completions=sum(len(trial.completions) for trial in trials),
        num_undone=sum(trial.is_undone_somewhere for trial in trials),
        removals_done=len(removed),
        removals_listed=len(listed),
        recognisers={name: recogniser.figures() for name, recogniser in recognisers.items()},
        truth_itself=_scores([[(trial.completions, trial.completions) for trial in trials]]),
        truth_late=_scores([[(trial.completions, _late(trial.completions)) for trial in trials]]),
        scores={
            name: {
                tracker: judge(track, trials, procedures, recogniser, num_seeds=num_seeds)
                for tracker, track in TRACKERS.items()
            }
            for name, recogniser in recognisers.items()
        },
        repairs=dict(repairs.counts),
    )


def trial_procedures(trials: Sequence[Trial]) -> dict[str, Procedure]:
    """Return each trial's procedure by its id, learned from the others of its direction.

    Raises `UserFault` where there are too few.
    """
    sequences = {trial.id: part_sequence(trial) for trial in trials}
    out: dict[str, Procedure] = {}
    for trial in trials:
        others = [
            sequence.segments
            for name, sequence in sequences.items()
            if name != trial.id and sequence.normal and sequence.product == trial.direction
        ]
        procedure = learned_procedure(others, at_least=SUPPORT)
        if procedure is None:
            raise UserFault(
                f"trial {trial.id}: {len(others)} other normal trials of {trial.direction} are "
                f"too few to learn its order from, {SUPPORT} are needed"
            )
        out[trial.id] = procedure
    return out


def judge(
    track: Tracker,
    trials: Sequence[Trial],
    procedures: Mapping[str, Procedure],
    recogniser: Recogniser,
    *,
    num_seeds: int,
) -> TrackerScores:
    """Score a tracker on what the recogniser says of the trials; seed n degrades alike for all."""
    by_seed: list[list[tuple[Sequence[Completion], Sequence[Completion]]]] = []
    for seed in range(num_seeds):
        rng = np.random.default_rng(seed)
        pairs: list[tuple[Sequence[Completion], Sequence[Completion]]] = []
        for trial in trials:
            observed = recogniser.observe(
                trial.completions,
                others=[trial.step_of(part) for part in range(len(trial.states))],
                end_frame=trial.end_frame,
                rate_hz=RATE_HZ,
                rng=rng,
            )
            pairs.append((trial.completions, track(procedures[trial.id], recogniser, observed)))
        by_seed.append(pairs)
    return _scores(by_seed)


def _scores(
    by_seed: Sequence[Sequence[tuple[Sequence[Completion], Sequence[Completion]]]],
) -> TrackerScores:
    return TrackerScores(
        published=tuple(
            published_mean([published_score(truth, said) for truth, said in pairs])
            for pairs in by_seed
        ),
        clean=tuple(
            clean_mean([clean_score(truth, said) for truth, said in pairs]) for pairs in by_seed
        ),
    )


def _late(completions: Sequence[Completion]) -> list[Completion]:
    return [Completion(entry.frame + 1, entry.step) for entry in completions]


def _cells(scores: Sequence[ProcedureScore]) -> str:
    delays = [s.delay_frames / RATE_HZ for s in scores if s.delay_frames is not None]
    cells = [
        mean_and_spread([100 * score.pos for score in scores]),
        mean_and_spread([100 * score.f1 for score in scores]),
        mean_and_spread(delays) if delays else "-",
    ]
    return " ".join(f"{cell:>10}" for cell in cells)
