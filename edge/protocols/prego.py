"""`linewatch evaluate deviations --protocol prego`: mistakes in what real recognisers reported.

The detector of `models.sequence_mistakes` beside plain alarms, on PREGO's published outputs. It
learns procedures from correct transcripts alone. Confusion, weights and threshold are fitted on
other test videos: of the videos in the order of their names, number i is in fold i mod `FOLDS`, and
is judged by what was fitted on the other folds (in inner folds of their own, see there).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import numpy as np

from edge.protocols.prego_bound import Bound, find_bound
from edge.protocols.prego_files import RECOGNISERS, SETS, TOYS, PublishedSet, Video, read_set
from edge.protocols.prego_metric import AlarmScore, count_alarms, count_videos
from industryasm.sets.set_error import SetError
from models.sequence_mistakes import FOLDS as INNER_FOLDS
from models.sequence_mistakes import MAX_FALSE_ALARM_RATE, JudgedRun, Procedures, fit_detector
from models.transcripts import set_difference, unseen_transitions

FOLDS = 10
DETECTOR, UNBUDGETED = "detector", "detector, no alarm budget"
SYSTEMS = (
    DETECTOR,
    UNBUDGETED,
    "never alarm",
    "always alarm",
    "all but the first step",
    "set difference",
    "one-step memory",
    "one-step memory of the procedure",
)
PUBLISHED = {  # MiniROAD, Assembly101-O; arXiv 2411.02570, table 2; rates by its definition
    "TI-PREGO": AlarmScore(51.5, 97.2, 67.4, 91.5),
    "TGML-DO": AlarmScore(53.77, 37.3, 44.05, 32.1),
}

Alarms = list[list[bool]]
"""One flag per step of each video."""


@dataclass(frozen=True)
class Judgement:
    """What was alarmed by each system, on reported steps and on the true ones, and the bound."""

    reported: Mapping[str, Alarms]
    true: Mapping[str, Alarms]
    bound: Bound


@dataclass(frozen=True)
class PregoReport:
    """The judgement of each recogniser and set."""

    judgements: Mapping[str, Mapping[str, Judgement]]

    def plain(self) -> dict[str, object]:
        """Return what `--json` prints, in percent, to two decimals.

        `{recogniser: {set: {precision, recall, f1, false_alarm_rate}}}` is the detector's balanced
        score on reported steps. Beside the recognisers stand, by system, then recogniser and set:
        `baselines` (the same of the others), `true_steps` (the same on true steps), `clean` and
        `as_coded` (the other readings); then `bounds`, by recogniser and set, and `published`.
        """
        balanced = self._by_system(lambda j, s: _plain(count_alarms(j.reported[s]).balanced()))
        return {
            **balanced.pop(DETECTOR),
            "baselines": balanced,
            "true_steps": self._by_system(lambda j, s: _plain(count_alarms(j.true[s]).balanced())),
            "clean": self._by_system(lambda j, s: _clean(j.reported[s])),
            "as_coded": self._by_system(
                lambda j, s: _plain(count_alarms(j.reported[s]).as_coded())
            ),
            "bounds": self._by_system(lambda j, _: _rounded(asdict(j.bound)))[DETECTOR],
            "published": {"MiniROAD": {TOYS: {k: _plain(v) for k, v in PUBLISHED.items()}}},
        }

    def table(self) -> str:
        """Word the balanced and the clean scores for a terminal."""
        lines = []
        for recogniser, sets in self.judgements.items():
            for name, judgement in sets.items():
                lines += [f"{recogniser}, {name}", *_rows(judgement), ""]
        return "\n".join(lines[:-1])

    def _by_system(self, value: Callable[[Judgement, str], object]) -> dict[str, dict[str, object]]:
        """Return values by system, recogniser and set."""
        return {
            system: {
                recogniser: {name: value(judgement, system) for name, judgement in sets.items()}
                for recogniser, sets in self.judgements.items()
            }
            for system in SYSTEMS
        }


def report(data: Path) -> PregoReport:
    """Judge both recognisers on both sets of the folder of PREGO's outputs.

    Raises `SetError` where a file is absent or not as published.
    """
    return PregoReport(
        {
            recogniser: {name: judge(read_set(data, recogniser, name)) for name in SETS}
            for recogniser in RECOGNISERS
        }
    )


def judge(published: PublishedSet) -> Judgement:
    """Run every system over the videos of a set.

    Raises `SetError` where too few of them have a correct step for every fold to have one.
    """
    procedures, videos = Procedures.learned(published.transcripts), published.videos
    left_out = ceil(len(videos) / FOLDS) + ceil(len(videos) / INNER_FOLDS)
    num_usable = sum(min(len(video.reported), len(video.true)) > 1 for video in videos)
    if len(videos) < FOLDS or num_usable <= left_out:
        raise SetError(
            f"{published.path}: {num_usable} of {len(videos)} videos have a step before their "
            f"mistake: too few to cross-validate in {FOLDS} folds; give more videos"
        )
    reported = [_judged(video, video.reported) for video in videos]
    true = [_judged(video, video.true) for video in videos]
    probabilities, alarms = cross_validated(reported, procedures)
    seen = [video.reported[-1] == video.true[-1] for video in videos]
    return Judgement(
        _all_alarms(reported, procedures, alarms),
        _all_alarms(true, procedures, cross_validated(true, procedures)[1]),
        find_bound(probabilities, alarms, seen),
    )


def cross_validated(
    runs: Sequence[JudgedRun],
    procedures: Procedures,
    *,
    max_false_alarm_rate: float = MAX_FALSE_ALARM_RATE,
) -> tuple[list[np.ndarray], Alarms]:
    """Return each run's probabilities (T,) and alarms, by a detector that was not fitted on it."""
    probabilities: list[np.ndarray] = [np.empty(0)] * len(runs)
    alarms: Alarms = [[]] * len(runs)
    for fold in range(FOLDS):
        others = [run for i, run in enumerate(runs) if i % FOLDS != fold]
        detector = fit_detector(others, procedures, max_false_alarm_rate=max_false_alarm_rate)
        for i in range(fold, len(runs), FOLDS):
            run = runs[i]
            probabilities[i] = detector.probabilities(run.procedure, run.reported)
            alarms[i] = detector.alarms(run.procedure, run.reported)
    return probabilities, alarms


def _judged(video: Video, steps: tuple[str, ...]) -> JudgedRun:
    return JudgedRun(video.procedure, steps, _last(steps), video.true, _last(video.true))


def _last(steps: tuple[str, ...]) -> tuple[bool, ...]:
    """Flag the last step: the videos are cut at their first mistake."""
    return (*(False for _ in steps[1:]), True)


def _all_alarms(
    runs: Sequence[JudgedRun], procedures: Procedures, detected: Alarms
) -> dict[str, Alarms]:
    """Return what each of `SYSTEMS` alarms, of which the detector's alarms are given."""
    steps = [run.reported for run in runs]
    own = [procedures.by_name[run.procedure] for run in runs]
    return {
        DETECTOR: detected,
        UNBUDGETED: cross_validated(runs, procedures, max_false_alarm_rate=1.0)[1],
        "never alarm": [[False] * len(one) for one in steps],
        "always alarm": [[True] * len(one) for one in steps],
        "all but the first step": [[place > 0 for place in range(len(one))] for one in steps],
        "set difference": [
            set_difference(known, one) for known, one in zip(own, steps, strict=True)
        ],
        "one-step memory": [unseen_transitions(procedures.all, one) for one in steps],
        "one-step memory of the procedure": [
            unseen_transitions(known, one) for known, one in zip(own, steps, strict=True)
        ],
    }


def _rows(judgement: Judgement) -> list[str]:
    rows = [f"{'':34} balanced: P      R     F1  false alarms | clean: P     F1 | true steps: F1"]
    for system, alarms in judgement.reported.items():
        counts = count_alarms(alarms)
        balanced, clean = counts.balanced(), counts.clean()
        rows.append(
            f"{system:34} {balanced.precision:11.1f} {balanced.recall:6.1f} {balanced.f1:6.1f} "
            f"{balanced.false_alarm_rate:11.1f} % | {clean.precision:8.1f} {clean.f1:6.1f} | "
            f"{count_alarms(judgement.true[system]).balanced().f1:14.1f}"
        )
    bound = judgement.bound
    told = (
        f"the mistaken step is reported in {bound.mistakes_reported:.1f} % of the videos; ranked "
        f"{bound.ranked:.1f} % (95 % {bound.ranked_low:.1f} to {bound.ranked_high:.1f}), at equal "
        f"places {bound.ranked_at_place:.1f} %; needed {bound.ranked_needed:.1f} %; F1 at best "
        f"{bound.f1:.1f}"
    )
    return [*rows, told]


def _clean(alarms: Alarms) -> dict[str, object]:
    return _plain(count_alarms(alarms).clean()) | {"videos": asdict(count_videos(alarms))}


def _plain(score: AlarmScore) -> dict[str, object]:
    return _rounded(asdict(score))


def _rounded(values: Mapping[str, float]) -> dict[str, object]:
    return {name: round(value, 2) for name, value in values.items()}
