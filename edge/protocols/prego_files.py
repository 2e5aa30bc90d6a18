"""PREGO's published files: what two recognisers reported against what was done, and transcripts.

`github.com/aleflabo/PREGO` (MIT), `step_anticipation/data`. A test video is cut at the end of its
first mistake, so of its true steps the last one, and only that, is a mistake. `pred` is what the
recogniser said of the same stretch, its frames first replaced by the mode of windows, then runs of
one label taken together (`utils/aggregate.py`): it has no places in `gt`, only an order.

| file                                              | what is read                              |
|---------------------------------------------------|-------------------------------------------|
| `output_RECOGNISER_SET.json`                      | per video `pred` and `gt`, label numbers  |
| `assembly_`, `epictent_context_prompt_train.json` | correct transcripts, out of prompts       |
| `Assembly101-O_action_dict.json`                  | the names of Assembly101-O's labels       |
| `toy2class.json`, `test_split.txt`                | the kind of toy of each toy; test videos  |

The durations in OadTR's files are left alone: all but a video's last are multiples of 100 frames,
so a duration that is none tells where the video was cut, and with it the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from industryasm.sets.json_file import Published, read_json
from industryasm.sets.set_error import SetError

RECOGNISERS = {"MiniROAD": "miniROAD", "OadTR": "OadTR"}
"""Name in our tables -> name in the files."""
TOYS, TENT = "Assembly101-O", "EPIC-tent-O"
SETS = {TOYS: "Assembly101-O", TENT: "Epic-tent-O"}
TENT_LABELS = 12  # TGML-DO's `data/epic-tent/EPIC-Tent-O_action_dict.json` names as many
MAX_STEPS = 200  # of a sequence; the longest published one has 33
MAX_SPLIT_BYTES = 1_000_000  # the published one has 12 kB

Label = Annotated[int, Field(strict=True, ge=0)]
Sequence_ = Annotated[list[Label], Field(min_length=1, max_length=MAX_STEPS)]


class _Video(Published):
    pred: Sequence_
    gt: Sequence_


class _Prompts(Published):
    num: str


_VIDEOS = TypeAdapter(dict[str, _Video])
_PROMPTS, _PROMPTS_BY_KIND = TypeAdapter(_Prompts), TypeAdapter(dict[str, _Prompts])
_NAMES = TypeAdapter(dict[str, str])
_EXAMPLE = re.compile(
    r"(?:Sequence type: (?P<toy>\w+)\n)?Input Sequence:\n -1(?P<steps>(?:, \d{1,4})*)\n"
    r"Next Symbol:\n (?P<next>\d{1,4})"
)
_VIDEO = re.compile(r"nusar-2021_action_both_\d{4}-(?P<toy>[a-z]\d{2}[a-z]?)_\S+")


@dataclass(frozen=True)
class Video:
    """A test video: the steps reported of it and the true ones, whose last is the mistake."""

    name: str
    procedure: str
    reported: tuple[str, ...]
    true: tuple[str, ...]


@dataclass(frozen=True)
class PublishedSet:
    """A recogniser's file (`path`) of a set, videos by name, and correct transcripts to learn from.

    Transcripts are by procedure: the kind of toy, or the one tent. Neighbours of the same label
    are one step in them, as they are in the videos.
    """

    path: Path
    videos: tuple[Video, ...]
    transcripts: Mapping[str, tuple[tuple[str, ...], ...]]


def read_set(folder: Path, recogniser: str, set_name: str) -> PublishedSet:
    """Read what `recogniser` (of `RECOGNISERS`) reported of a set (of `SETS`).

    Raises `SetError` with file and place where something is absent or not as published.
    """
    path = folder / f"output_{RECOGNISERS[recogniser]}_{SETS[set_name]}.json"
    published = read_json(path, _VIDEOS)
    if not published:
        raise SetError(f"{path}: no video in it")
    if set_name == TENT:
        labels = {number: str(number) for number in range(TENT_LABELS)}
        transcripts = {TENT: _tent_transcripts(folder, labels)}
        procedures = dict.fromkeys(published, TENT)
    else:
        labels = _toy_labels(folder / "Assembly101-O_action_dict.json")
        kinds = read_json(folder / "toy2class.json", _NAMES)
        transcripts = _toy_transcripts(folder, labels, kinds)
        procedures = _toy_procedures(path, folder / "test_split.txt", published, kinds, transcripts)
    videos = [
        Video(
            name,
            procedures[name],
            _separate(_named(video.pred, labels, f"{path}: {name}.pred"), f"{path}: {name}.pred"),
            _separate(_named(video.gt, labels, f"{path}: {name}.gt"), f"{path}: {name}.gt"),
        )
        for name, video in sorted(published.items())
    ]
    return PublishedSet(path, tuple(videos), transcripts)


def _toy_labels(path: Path) -> dict[int, str]:
    names = read_json(path, _NAMES)
    if set(names) != {str(number) for number in range(len(names))}:
        raise SetError(f"{path}: the keys are not the numbers from 0 to {len(names) - 1}")
    if len(set(names.values()) - {""}) != len(names):
        raise SetError(f"{path}: a label without a name, or two of one name; give each its own")
    return {int(number): name for number, name in names.items()}


def _toy_transcripts(
    folder: Path, labels: Mapping[int, str], kinds: Mapping[str, str]
) -> dict[str, tuple[tuple[str, ...], ...]]:
    path = folder / "assembly_context_prompt_train.json"
    found = {}
    for kind, prompts in read_json(path, _PROMPTS_BY_KIND).items():
        place = f"{path}: {kind}.num"
        examples = _examples(prompts.num, place)
        for toy, _ in examples:
            if kinds.get(toy) != kind:
                raise SetError(f"{place}: toy {toy!r} is no {kind!r} in toy2class.json")
        found[kind] = tuple(_collapsed(_named(steps, labels, place)) for _, steps in examples)
    return found


def _tent_transcripts(folder: Path, labels: Mapping[int, str]) -> tuple[tuple[str, ...], ...]:
    path = folder / "epictent_context_prompt_train.json"
    place = f"{path}: num"
    examples = _examples(read_json(path, _PROMPTS).num, place)
    if any(toy for toy, _ in examples):
        raise SetError(f"{place}: an example names a toy: these are not the tent's")
    return tuple(_collapsed(_named(steps, labels, place)) for _, steps in examples)


def _examples(prompt: str, place: str) -> list[tuple[str, list[int]]]:
    """Return toy (empty for the tent) and steps of each example in a prompt."""
    *blocks, rest = prompt.split("---\n")
    if rest.strip() or not blocks:
        raise SetError(f"{place}: does not end with an example and `---`")
    examples = []
    for index, block in enumerate(blocks):
        match = _EXAMPLE.fullmatch(block.strip())
        if match is None:
            raise SetError(f"{place}: example {index} is none: {block[:80]!r}")
        steps = [int(step) for step in match["steps"].split(", ")[1:]] + [int(match["next"])]
        examples.append((match["toy"] or "", steps))
    return examples


def _toy_procedures(
    path: Path,
    split: Path,
    names: Mapping[str, object],
    kinds: Mapping[str, str],
    transcripts: Mapping[str, object],
) -> dict[str, str]:
    try:
        if split.stat().st_size > MAX_SPLIT_BYTES:
            raise SetError(f"{split}: larger than {MAX_SPLIT_BYTES} bytes; this is no split")
        test = set(split.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise SetError(f"{split}: cannot be read as text: {error}") from error
    found = {}
    for name in names:
        match = _VIDEO.fullmatch(name)
        if match is None or name not in test:
            raise SetError(f"{path}: {name!r} is no test video of test_split.txt")
        kind = kinds.get(match["toy"], "")
        if kind not in transcripts:
            raise SetError(f"{path}: {name!r}: no transcript of a toy like {match['toy']!r}")
        found[name] = kind
    return found


def _named(steps: list[int], labels: Mapping[int, str], place: str) -> tuple[str, ...]:
    for index, step in enumerate(steps):
        if step not in labels:
            raise SetError(f"{place}: step {index} is {step}, no label (0 to {len(labels) - 1})")
    return tuple(labels[step] for step in steps)


def _separate(steps: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Refuse neighbours of one label: the publisher made one of them, so this is another file."""
    if _collapsed(steps) != steps:
        raise SetError(f"{place}: neighbouring steps have the same label; make one of them")
    return steps


def _collapsed(steps: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1])
