"""Published segments that overlap, as the one layer that our recordings have and as tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from industryasm.recording import AnnotatedSegment, Track
from industryasm.repairs import Repairs


@dataclass(frozen=True, order=True)
class PublishedSegment:
    """A segment in seconds as it was published, and the place in its file."""

    start_s: float
    end_s: float
    label: str
    place: str

    def annotated(self) -> AnnotatedSegment:
        """Return it as a segment of a recording."""
        return AnnotatedSegment(start_s=self.start_s, end_s=self.end_s, label=self.label)


def cut_overlaps(
    segments: Sequence[PublishedSegment], repairs: Repairs
) -> tuple[AnnotatedSegment, ...]:
    """Return the segments in order, each cut where the next one begins.

    Of two that begin together, the longer one begins where the shorter one ends, or ended before
    it was cut itself; of two with the same span the second is no segment, or the one that has it
    by such a cut. What is left of an earlier one after the later one's end is background. Each cut
    is counted.
    """
    queue = [(segment.start_s, segment.end_s, False, segment) for segment in segments]
    heapify(queue)
    out: list[PublishedSegment] = []
    while queue:
        *_, segment = heappop(queue)
        last = out[-1] if out else None
        if last is None or segment.start_s >= last.end_s:
            out.append(segment)
        elif segment.start_s > last.start_s:
            repairs.add("step cut where the next one begins", last.place)
            out[-1] = replace(last, end_s=segment.start_s)
            out.append(segment)
        elif segment.end_s > last.end_s:
            repairs.add("step that begins with a shorter one: its beginning cut", segment.place)
            rest = replace(segment, start_s=last.end_s)
            heappush(queue, (rest.start_s, rest.end_s, True, rest))
        else:
            repairs.add("step with another one's span: no segment of its own", segment.place)
    return tuple(segment.annotated() for segment in out)


def uncut_tracks(segments: Sequence[PublishedSegment]) -> tuple[Track, ...]:
    """Return the segments uncut on tracks `uncut-1`, `uncut-2` ..., none where nothing overlaps.

    Segments of one track may not overlap either: each goes to the first track that is free.
    """
    rows: list[list[PublishedSegment]] = []
    for segment in sorted(segments):
        free = next((row for row in rows if row[-1].end_s <= segment.start_s), None)
        if free is None:
            rows.append([segment])
        else:
            free.append(segment)
    if len(rows) < 2:
        return ()
    return tuple(
        Track(name=f"uncut-{number}", segments=tuple(segment.annotated() for segment in row))
        for number, row in enumerate(rows, 1)
    )
