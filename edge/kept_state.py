"""What a station must know to go on in mid-cycle after it was ended, however it was ended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from edge.messages import Identifier
from edge.pipeline import Pipeline
from edge.reporter import Reporter

logger = logging.getLogger(__name__)


class KeptState(BaseModel):
    """Written with the events that it knows of, in one transaction.

    `origin` is the UTC time of the stream's second 0; what came after `judged_until_s` was not
    judged yet. `monitor` is the cycle monitor's own state, `alarms` the alarm judge's; without one
    nothing that was before has a probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    boot: Identifier
    vocabulary_hash: str
    origin: AwareDatetime
    judged_until_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    num_segments: Annotated[int, Field(ge=0)]
    monitor: str
    alarms: str | None = None

    def age_s(self, now: datetime) -> float:
        """Return how long ago the work was judged last."""
        return (now - self.origin).total_seconds() - self.judged_until_s


def read_kept(text: str | None, *, vocabulary_hash: str) -> KeptState | None:
    """Read what was kept for this vocabulary; what does not fit is told and left."""
    if text is None:
        return None
    try:
        kept = KeptState.model_validate_json(text)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        logger.warning("the kept state cannot be read, starting afresh: %s", reason)
        return None
    if kept.vocabulary_hash != vocabulary_hash:
        logger.warning("the kept state is of another vocabulary, starting afresh")
        return None
    return kept


@dataclass(frozen=True)
class Keeping:
    """How a station keeps its state: under which boot and vocabulary; `kept` is that of before."""

    boot: str
    vocabulary_hash: str
    kept: KeptState | None = None

    def state(self, pipeline: Pipeline, reporter: Reporter, origin: datetime) -> str:
        """Return what is to be kept, as JSON."""
        return KeptState(
            boot=self.boot,
            vocabulary_hash=self.vocabulary_hash,
            origin=origin,
            judged_until_s=pipeline.judged_until_s,
            num_segments=reporter.num_segments,
            monitor=pipeline.monitor_state(),
            alarms=pipeline.alarms_state(),
        ).model_dump_json()
