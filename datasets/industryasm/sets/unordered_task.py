"""A task of a set that publishes labels and no order."""

from __future__ import annotations

from collections.abc import Mapping

from industryasm.sets.set_error import refused_at
from industryasm.sets.step_times import StepTimes
from industryasm.vocabulary import Step, Task


def unordered_task(
    task_id: str,
    name: str,
    product: str,
    family: str,
    *,
    texts: Mapping[str, str],
    times: StepTimes,
    place: str,
) -> Task:
    """Return a task with a step for each id in `texts`; raise `SetError`, naming `place`, for none.

    Every step is optional and repeatable, for nothing is known to be required: a monitor of such a
    task never calls a step missed, out of order or repeated.
    """
    with refused_at(place):
        steps = []
        for step_id, text in texts.items():
            expected_s, limit_s = times.of(step_id)
            step = Step(
                id=step_id,
                text=text,
                primitive="other",
                optional=True,
                repeatable=True,
                expected_s=expected_s,
                limit_s=limit_s,
            )
            steps.append(step)
        return Task(
            id=task_id, name=name, product=product, family=family, parts=(), steps=tuple(steps)
        )
