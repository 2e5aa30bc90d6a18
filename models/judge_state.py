"""What an `AlarmJudge` must know to go on after its station was ended, as values for JSON.

What was seen is kept since the oldest cycle of which something may still be said, so that the state
is small: some 10 kB for units of a minute. It is read as if it came from a stranger.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from industryasm.segment import Segment

MAX_SECONDS = 1e10
"""Three hundred years: a stream's time is below."""

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]


class JudgeStateError(ValueError):
    """A saved state of a judge is damaged, or is one of other labels."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentState(_Frozen):
    """A decided segment."""

    start_s: Seconds
    end_s: Seconds
    label: Text
    confidence: Share

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.end_s <= self.start_s:
            raise ValueError(f"[{self.start_s}, {self.end_s}) must end after it starts")
        return self

    def segment(self) -> Segment:
        """Return it as a value of `industryasm.segment`."""
        return Segment(self.start_s, self.end_s, self.label, self.confidence)


class CycleState(_Frozen):
    """The span of a cycle; it goes on where it has no end."""

    number: Annotated[int, Field(ge=0, le=2**53)]
    start_s: Seconds
    end_s: Seconds | None


class SoftState(_Frozen):
    """For how long each of K labels was seen in each of the newest S seconds, up to `newest`.

    `seconds` are S * K float32, little-endian: so they come back as they were, in a third of the
    bytes that their digits take.
    """

    newest: Annotated[int, Field(ge=-1, le=int(MAX_SECONDS))]
    seconds: Annotated[Base64Bytes, Field(max_length=16 << 20)]


class JudgeState(_Frozen):
    """The state of an `AlarmJudge`."""

    since_s: Seconds | None
    cycles: Annotated[tuple[CycleState, ...], Field(max_length=16)]
    segments: Annotated[tuple[SegmentState, ...], Field(max_length=50_000)]
    suspected: Annotated[tuple[Text, ...], Field(max_length=50_000)]
    soft: SoftState


def read_judge_state(text: str) -> JudgeState:
    """Read a state; raise `JudgeStateError` for anything else."""
    try:
        return JudgeState.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JudgeStateError(
            f"the saved state of what was seen cannot be read: {place}: {first['msg']}"
        ) from error
