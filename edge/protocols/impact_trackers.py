"""From what a recogniser says to the steps that are believed done: a filter, and simpler rules.

All stream: what is said at a frame depends on what was observed up to it, and is not taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edge.protocols.impact_recogniser import Recogniser
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from models.deviations import CycleMonitor, MonitorConfig, StepDone
from models.procedure_metrics import Completion
from models.procedure_path import ProcedureCosts, ProcedurePath

Tracker = Callable[[Procedure, Recogniser, Sequence[Completion]], list[Completion]]
States = dict[frozenset[str], float]
"""Probability by what is done."""

BEAM_WIDTH = 32
BELIEVED = 0.5
OUT_OF_ORDER = 0.01  # chance that a step is done against the order; a guess, nobody counted it
EVENT_COSTS = ProcedureCosts(switch=0.5)
"""The station's own, but for beginning and ending a step: both together cost the choice of one of
the steps that may come (1.0 is the mean ln of their number in the learned orders)."""
_NEVER = -1e3
_LENGTH_S, _NO_PAUSE_S, _FRAME_S = 0.1, 1e6, 1 / 30


def trust_all(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe every observation."""
    del procedure, recogniser
    return list(observed)


def trust_in_order(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe a step the first time that all it needs is believed."""
    del recogniser
    done: dict[str, Completion] = {}
    for entry in observed:
        step = str(entry.step)
        known = step in procedure and step not in done
        if known and not procedure.missing_before(step, done):
            done[step] = entry
    return list(done.values())


def trust_none(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe nothing."""
    del procedure, recogniser, observed
    return []


def monitor_steps(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe each step the first time that the streaming monitor counts it, whatever the cycle."""
    del recogniser
    monitor = CycleMonitor(procedure, MonitorConfig(idle_end_s=_NO_PAUSE_S, handover_s=_NO_PAUSE_S))
    first: dict[str, Completion] = {}
    last_s = 0.0
    for entry in observed:
        last_s = entry.frame * _FRAME_S
        segment = Segment(last_s, last_s + _LENGTH_S, str(entry.step))
        for found in monitor.observe(segment, segment.end_s):
            if isinstance(found, StepDone):
                first.setdefault(found.step, Completion(entry.frame, int(found.step)))
    return list(first.values())


def decoder_steps(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe each step the first time that the station's decoder, told the confusion, does.

    An observation is a frame that says its step, behind each lies one of background; the best path
    so far tells what was done, seen or not.
    """
    steps = [step.id for step in procedure.steps]
    confusion = recogniser.as_confusion(steps)
    labels = confusion.labels
    path = ProcedurePath(
        labels, procedure, period_s=_NO_PAUSE_S, costs=EVENT_COSTS, recall=confusion.recall()
    )
    likely = np.log(confusion.likelihoods(np.eye(len(labels))))  # (K, K), row k where k is said
    pause = np.where(np.arange(len(labels)) == 0, 0.0, _NEVER)
    said: dict[str, Completion] = {}
    for entry in observed:
        if str(entry.step) not in procedure:
            continue
        for evidence in (likely[labels.index(str(entry.step))], pause):
            path.push(evidence)
        path.force(path.num_undecided)
        new = (path.done | path.passed) - said.keys()
        for step in sorted(new, key=lambda name: (len(procedure.predecessors(name)), name)):
            said[step] = Completion(entry.frame, int(step))
    return list(said.values())


def filtered(
    procedure: Procedure, recogniser: Recogniser, observed: Sequence[Completion]
) -> list[Completion]:
    """Believe a step when what was observed makes it more likely done than not.

    Bayes' filter over what may be done. An observation is right (with the recogniser's precision),
    and then what must come before it was done unseen, each with the chance of not being seen, or
    was not done at all; or it was invented; or another step that could come was taken for it.
    """
    states: States = {frozenset(): 1.0}
    said: dict[str, Completion] = {}
    for entry in observed:
        states = _pruned(_moved(states, str(entry.step), procedure, recogniser))
        belief: dict[str, float] = defaultdict(float)
        for done, chance in states.items():
            for step in done:
                belief[step] += chance
        new = [step for step, chance in belief.items() if chance > BELIEVED and step not in said]
        for step in sorted(new, key=lambda name: (len(procedure.predecessors(name)), name)):
            said[step] = Completion(entry.frame, int(step))
    return list(said.values())


def _moved(states: States, seen: str, procedure: Procedure, recogniser: Recogniser) -> States:
    out: States = defaultdict(float)
    wrong = 1 - recogniser.precision
    all_wrong = recogniser.confusion + recogniser.inventions
    confused = recogniser.confusion / all_wrong if all_wrong else 0.0
    num_steps = len(procedure.steps)
    for done, chance in states.items():
        ready = [
            step.id
            for step in procedure.steps
            if step.id not in done and not procedure.missing_before(step.id, done)
        ]
        by_error = chance * wrong / num_steps
        out[done] += by_error * ((1 - confused) if ready else 1.0)
        for step in ready:
            out[done | {step}] += by_error * confused / len(ready)
        if seen in procedure and seen not in done:
            unseen = frozenset(procedure.missing_before(seen, done))
            right = chance * recogniser.precision / max(1, len(ready))
            out[done | unseen | {seen}] += right * (1 - recogniser.recall) ** len(unseen)
            if unseen:
                out[done | {seen}] += right * OUT_OF_ORDER
    return out


def _pruned(states: States) -> States:
    """Keep the most likely states; equal ones by their names, so that no run differs."""
    order = sorted(states.items(), key=lambda item: (-item[1], sorted(item[0])))[:BEAM_WIDTH]
    total = sum(chance for _, chance in order)
    if not total:  # a recogniser that never errs saw what cannot be
        return {done: 1 / len(order) for done, _ in order}
    return {done: chance / total for done, chance in order}


TRACKERS: Mapping[str, Tracker] = {
    "linewatch, filter over the order": filtered,
    "linewatch, decoder with confusion": decoder_steps,
    "linewatch, CycleMonitor's steps": monitor_steps,
    "trust every observation": trust_all,
    "trust those in order": trust_in_order,
    "never": trust_none,
}
