"""Assembly101 mistakes (CC BY-NC 4.0): real toy assembly with mistakes and corrections.

Read: `nusar-2021_action_both_SESSION-TOY_USER_user_id_DATE.csv`, without a header:
`start_frame,end_frame,verb,this,that,label,remark`, frames of 30 a second, ends half-open. There is
no video, so the grid of frames is regular.

A toy is a task whose steps are the `verb this that` that occur with it; their order is not
published, so every step is optional and repeatable. A file is one cycle, the participant of its
session the operator; ours is the split, by operator.

| label, remark                                     | deviation                               |
|---------------------------------------------------|-----------------------------------------|
| correct                                           | none                                    |
| mistake, wrong order                              | `out_of_order`                          |
| mistake, previous one is a mistake (built on one) | `out_of_order`                          |
| mistake, wrong position                           | `wrong_execution`                       |
| mistake, shouldn't have happened (needless: often | `unexpected`, which is its step too;    |
| a good part is taken off again)                   | what was done stands in the note        |
| mistake, another remark or none (counted)         | `wrong_execution`                       |
| correction (a mistake is undone)                  | `rework`                                |

Every row is a segment of its step, whatever its label. The remark as it was published is the
deviation's note. Mended and counted: CRLF, a missing seventh column, slips in labels, remarks and
names of parts, rows without length (one frame is given), rows that end before they begin (left
out), overlaps (see `layer.cut_overlaps`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from industryasm.deviation import KnownKind
from industryasm.frame_times import FrameTimes
from industryasm.recording import (
    MAX_NOTE,
    AnnotatedCycle,
    AnnotatedDeviation,
    Recording,
    write_data_set,
)
from industryasm.repairs import Repairs
from industryasm.sets.csv_file import Row, read_rows
from industryasm.sets.identifier import identifier
from industryasm.sets.layer import PublishedSegment, cut_overlaps, uncut_tracks
from industryasm.sets.set_error import SetError, refused_at
from industryasm.sets.splitting import split_by_group
from industryasm.sets.step_times import StepTimes
from industryasm.sets.unordered_task import unordered_task
from industryasm.vocabulary import UNEXPECTED

RATE_HZ = 30.0
COLUMNS = 7
LABELS = ("correct", "mistake", "correction")
REMARKS: dict[str, KnownKind] = {
    "wrong order": "out_of_order",
    "wrong position": "wrong_execution",
    "previous one is a mistake": "out_of_order",
    "shouldn't have happened": "unexpected",
}
ANOTHER_SPELLING = {"dumpbed": "dump bed"}
_LIKE = 0.8  # of 1: `shouln't have happened` and `previous one was mistake` are closer than this
_FILE = re.compile(
    r"nusar-2021_action_both_(?P<session>\d{4})-(?P<toy>[a-z]\d{2}[a-z]?)_(?P<user>\d{4})_user_id_"
    r"\d{4}-\d{2}-\d{2}_\d{6}",
    re.ASCII,
)


@dataclass(frozen=True)
class _Done:
    """One row: the step in seconds, and what was wrong with it, None where nothing was."""

    segment: PublishedSegment
    text: str
    kind: KnownKind | None
    note: str


@dataclass(frozen=True)
class _Session:
    """One file: whose session on which toy it is, and its rows."""

    id: str
    toy: str
    operator: str
    duration_s: float
    done: tuple[_Done, ...]


def import_set(source: Path, target: Path, repairs: Repairs) -> None:
    """Write the recordings of the folder `source` as a data set at `target`.

    Raises `SetError` for a file that is damaged, of another name or shape, or has an unknown label.
    """
    paths = sorted(source.glob("*.csv"))
    if not paths:
        raise SetError(f"{source}: holds no file nusar-2021_action_both_*.csv")
    sessions = [session for path in paths for session in _read(path, repairs)]
    by_toy: dict[str, list[_Session]] = defaultdict(list)
    for session in sessions:
        by_toy[session.toy].append(session)
    for toy, of_toy in sorted(by_toy.items()):
        if len(_texts(of_toy)) < 2:  # no vocabulary that our tasks could have
            repairs.add("toy with a single step: left out", toy, len(of_toy))
            del by_toy[toy]
    kept = [session for session in sessions if session.toy in by_toy]
    if not kept:
        raise SetError(f"{source}: no toy has two steps")
    splits = split_by_group(kept, lambda session: session.operator)
    training = {session.id for session in splits["train"]}
    write_data_set(
        target,
        name="assembly101-mistakes",
        splits={
            name: [
                _recording(session, f"{source / session.id}.csv", repairs) for session in members
            ]
            for name, members in splits.items()
        },
        tasks=[
            unordered_task(
                _task_id(toy),
                f"Toy {toy}",
                f"Toy vehicle {toy}",
                "toys",
                texts=_texts(of_toy),
                times=_times(session for session in of_toy if session.id in training),
                place=f"{source}: toy {toy}",
            )
            for toy, of_toy in sorted(by_toy.items())
        ],
    )


def _read(path: Path, repairs: Repairs) -> Iterator[_Session]:
    match = _FILE.fullmatch(path.stem)
    if match is None:
        raise SetError(
            f"{path}: its name is none of nusar-2021_action_both_SESSION-TOY_USER_user_id_DATE.csv"
        )
    if match["session"] != match["user"]:
        repairs.add("file name with two participants: that of the session taken", path.name)
    rows = [done for row in read_rows(path, repairs) for done in _done(row, repairs)]
    if not rows:
        repairs.add("file without a step: left out", path.name)
        return
    end_s = max(done.segment.end_s for done in rows)
    yield _Session(path.stem, match["toy"], f"person-{match['session']}", end_s, tuple(rows))


def _done(row: Row, repairs: Repairs) -> Iterator[_Done]:
    cells = row.cells
    if len(cells) == COLUMNS - 1:
        repairs.add("row without its remark's column", row.brief)
        cells = (*cells, "")
    if len(cells) != COLUMNS:
        raise SetError(f"{row.place}: has {len(cells)} columns, expected {COLUMNS}")
    start, end = row.frame(0), row.frame(1)
    if end < start:
        repairs.add("row that ends before it begins: left out", row.brief)
        return
    if end == start:
        repairs.add("row without length: given one frame", row.brief)
        end += 1
    words = tuple(_part(word, row.brief, repairs) for word in cells[2:5])
    text = " ".join(words)
    step = identifier(text)
    if not all(identifier(word) for word in words) or len(text) > 100:
        raise SetError(f"{row.place}: {','.join(cells[2:5])!r} is no verb, this, that")
    kind = _kind(cells[5], cells[6], row, repairs)
    frames = FrameTimes.regular(num_frames=end, rate_hz=RATE_HZ)
    segment = PublishedSegment(frames.start_of(start), frames.end_s, step, row.brief)
    note = cells[6] or cells[5]
    if kind == "unexpected":
        note = f"{text}: {note}"
    if len(note) > MAX_NOTE:
        repairs.add(f"remark cut at {MAX_NOTE} characters", row.brief)
    yield _Done(segment, text, kind, note[:MAX_NOTE])


def _part(word: str, place: str, repairs: Repairs) -> str:
    plain = " ".join(word.lower().split())
    if plain in ANOTHER_SPELLING:
        repairs.add(f"{plain!r} taken for {ANOTHER_SPELLING[plain]!r}", place)
        return ANOTHER_SPELLING[plain]
    return plain


def _kind(label: str, remark: str, row: Row, repairs: Repairs) -> KnownKind | None:
    plain = _known(label, LABELS, row.brief, repairs)
    if plain is None:
        raise SetError(f"{row.place}: label {label!r} is none of {', '.join(LABELS)}")
    if plain == "correct":
        if remark:
            repairs.add("remark on a correct step: left out", row.brief)
        return None
    if plain == "correction":
        return "rework"
    known = _known(remark, tuple(REMARKS), row.brief, repairs)
    if known is None:
        repairs.add("mistake with another remark or none: wrong_execution", row.brief)
        return "wrong_execution"
    return REMARKS[known]


def _known(word: str, known: tuple[str, ...], place: str, repairs: Repairs) -> str | None:
    """Return the one of `known` that is meant, a slip counted; None when none is near."""
    plain = " ".join(word.lower().replace("\u2019", "'").split())
    if plain in known:
        return plain
    near = get_close_matches(plain, known, n=1, cutoff=_LIKE)
    if not near:
        return None
    repairs.add(f"{word!r} taken for {near[0]!r}", place)
    return near[0]


def _recording(session: _Session, place: str, repairs: Repairs) -> Recording:
    segments = [done.segment for done in session.done]
    with refused_at(place):
        return Recording(
            id=session.id,
            task=_task_id(session.toy),
            task_revision=1,
            duration_s=session.duration_s,
            rate_hz=RATE_HZ,
            station="assembly101",
            camera="all",
            operator=session.operator,
            annotator="assembly101",
            review="reviewed",
            cycles=(AnnotatedCycle(number=1, start_s=0.0, end_s=session.duration_s),),
            segments=cut_overlaps(segments, repairs),
            deviations=tuple(
                AnnotatedDeviation(
                    kind=done.kind,
                    step=UNEXPECTED if done.kind == "unexpected" else done.segment.label,
                    cycle=1,
                    start_s=done.segment.start_s,
                    end_s=done.segment.end_s,
                    note=done.note,
                )
                for done in session.done
                if done.kind is not None
            ),
            tracks=uncut_tracks(segments),
        )


def _texts(sessions: list[_Session]) -> dict[str, str]:
    texts = {done.segment.label: done.text for session in sessions for done in session.done}
    return dict(sorted(texts.items()))


def _times(sessions: Iterator[_Session]) -> StepTimes:
    times = StepTimes()
    for session in sessions:
        for done in session.done:
            if done.kind is None:
                times.add(done.segment.label, done.segment.end_s - done.segment.start_s)
    return times


def _task_id(toy: str) -> str:
    return f"toy-{toy}"
