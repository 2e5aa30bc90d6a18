"""A YAML file read as hostile input, checked against a pydantic model, faults named by line.

Only plain data passes: tags, anchors and aliases are refused, so that neither object
construction nor the "billion laughs" expansion can happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from industryasm.fault import UserFault
from industryasm.regular_file import size_of_file

MAX_BYTES = 1_000_000  # a hand-written file is a few kilobytes

ModelT = TypeVar("ModelT", bound=BaseModel)
Location = tuple[int | str, ...]

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster
_RESOLVER = yaml.SafeLoader("")


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a YAML file: where (line from 1, dotted key) and what."""

    path: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return f"{self.path}:{self.line}:{key} {self.message}"


class YamlFileError(UserFault, ValueError):
    """A YAML file could not be read or does not fit its model; `faults` holds one row per fault."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class PlacedError(ValueError):
    """Raised by a model's validator for a fault at `location`, counted from the model."""

    def __init__(self, location: Location, message: str) -> None:
        self.location = location
        super().__init__(message)


class YamlFile:
    """A parsed YAML file that still knows the line of every key."""

    def __init__(self, path: Path) -> None:
        """Read and parse `path`; raise `YamlFileError` when it cannot be read as plain YAML."""
        self.path = path
        self._lines: dict[Location, int] = {}
        self.data = self._parse(self._read())

    def fault(self, location: Location, message: str) -> Fault:
        """Make a fault at `location` (keys and indices from the top), or at its nearest parent."""
        at = location
        while at and at not in self._lines:
            at = at[:-1]
        key = ".".join(str(part) for part in location)
        return Fault(self.path, self._lines.get(at, 1), key, message)

    def validate(self, model: type[ModelT]) -> ModelT:
        """Return the file as a `model`; raise `YamlFileError` naming every fault by line."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            faults = [
                self.fault(_location(dict(item)), _plain_message(dict(item)))
                for item in error.errors(include_url=False)
            ]
            raise YamlFileError(faults) from error

    def _read(self) -> str:
        try:
            if size_of_file(self.path) > MAX_BYTES:
                raise YamlFileError([Fault(self.path, 1, "", f"larger than {MAX_BYTES} bytes")])
            return self.path.read_bytes().decode("utf-8")
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise YamlFileError([Fault(self.path, 1, "", message)]) from error
        except UnicodeDecodeError as error:
            raise YamlFileError([Fault(self.path, 1, "", "is not UTF-8 text")]) from error

    def _parse(self, text: str) -> Any:
        try:
            events = _PlainEvents(self.path, text)
            events.take(yaml.StreamStartEvent)
            if not events.is_next(yaml.DocumentStartEvent):
                raise YamlFileError([Fault(self.path, 1, "", "is empty")])
            events.take(yaml.DocumentStartEvent)
            data = self._read_node(events, ())
            events.take(yaml.DocumentEndEvent)
            events.take(yaml.StreamEndEvent)
            return data
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or "is not valid YAML"
            raise YamlFileError([Fault(self.path, line, "", str(problem))]) from error
        except RecursionError as error:
            raise YamlFileError([Fault(self.path, 1, "", "is nested too deeply")]) from error

    def _read_node(self, events: _PlainEvents, location: Location) -> Any:
        event = events.take(yaml.NodeEvent)
        self._lines.setdefault(location, _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._read_mapping(events, location)
        if isinstance(event, yaml.SequenceStartEvent):
            values: list[Any] = []
            while not events.is_next(yaml.SequenceEndEvent):
                values.append(self._read_node(events, (*location, len(values))))
            events.take(yaml.SequenceEndEvent)
            return values
        return self._read_scalar(event, location)

    def _read_mapping(self, events: _PlainEvents, location: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not events.is_next(yaml.MappingEndEvent):
            event = events.take(yaml.NodeEvent)
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise YamlFileError([Fault(self.path, line, "", "a key must be plain text")])
            if event.value in mapping:
                raise YamlFileError([Fault(self.path, line, event.value, "is given twice")])
            self._lines[(*location, event.value)] = line
            mapping[event.value] = self._read_node(events, (*location, event.value))
        events.take(yaml.MappingEndEvent)
        return mapping

    def _read_scalar(self, event: yaml.ScalarEvent, location: Location) -> Any:
        tag = _RESOLVER.resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, event.value, event.implicit
        )
        try:
            return _RESOLVER.construct_object(yaml.ScalarNode(tag, event.value))
        except (yaml.YAMLError, ValueError) as error:
            message = f"{event.value!r} cannot be read: {error}"
            raise YamlFileError([self.fault(location, message)]) from error


class _PlainEvents:
    """The events of a YAML text; anchors, aliases and tags are refused where they stand."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_PARSER))
        self._next = next(self._events, None)

    def is_next(self, kind: type[yaml.Event]) -> bool:
        return isinstance(self._next, kind)

    def take(self, kind: type[yaml.Event]) -> Any:
        event = self._next
        if event is None or not isinstance(event, kind):
            line = _line(event) if event is not None else 1
            message = "there must be one document in the file"
            raise YamlFileError([Fault(self._path, line, "", message)])
        if isinstance(event, yaml.NodeEvent) and (
            isinstance(event, yaml.AliasEvent) or event.anchor or getattr(event, "tag", None)
        ):
            message = "anchors, aliases and tags are not allowed; write the value out"
            raise YamlFileError([Fault(self._path, _line(event), "", message)])
        self._next = next(self._events, None)
        return event


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _location(item: dict[str, Any]) -> Location:
    error = item.get("ctx", {}).get("error")
    inner = error.location if isinstance(error, PlacedError) else ()
    return (*item["loc"], *inner)


def _plain_message(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown key"
    if item["type"] == "missing":
        return "is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    value = item.get("input")
    return f"{message} (got {value!r})" if isinstance(value, str | int | float) else message
