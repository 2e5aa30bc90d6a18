"""A YAML file read as hostile input, checked against a pydantic model, faults named by line.

Only plain data passes: tags, anchors and aliases are refused, so that neither object
construction nor the "billion laughs" expansion can happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from industryasm.fault import UserFault

MAX_BYTES = 1_000_000  # a hand-written file is a few kilobytes

ModelT = TypeVar("ModelT", bound=BaseModel)
Location = tuple[int | str, ...]


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
        self.data = self._construct(self._compose(self._read()), ())

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
            if self.path.stat().st_size > MAX_BYTES:
                raise YamlFileError([Fault(self.path, 1, "", f"larger than {MAX_BYTES} bytes")])
            return self.path.read_bytes().decode("utf-8")
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise YamlFileError([Fault(self.path, 1, "", message)]) from error
        except UnicodeDecodeError as error:
            raise YamlFileError([Fault(self.path, 1, "", "is not UTF-8 text")]) from error

    def _compose(self, text: str) -> yaml.Node:
        try:
            for token in yaml.scan(text, Loader=yaml.SafeLoader):
                if isinstance(token, yaml.AliasToken | yaml.AnchorToken | yaml.TagToken):
                    line = token.start_mark.line + 1
                    message = "anchors, aliases and tags are not allowed; write the value out"
                    raise YamlFileError([Fault(self.path, line, "", message)])
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or "is not valid YAML"
            raise YamlFileError([Fault(self.path, line, "", str(problem))]) from error
        except RecursionError as error:
            raise YamlFileError([Fault(self.path, 1, "", "is nested too deeply")]) from error
        if node is None:
            raise YamlFileError([Fault(self.path, 1, "", "is empty")])
        return node

    def _construct(self, node: yaml.Node, location: Location) -> Any:
        self._lines[location] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if key in mapping:
                    line = key_node.start_mark.line + 1
                    raise YamlFileError([Fault(self.path, line, key, "is given twice")])
                mapping[key] = self._construct(value_node, (*location, key))
                self._lines[(*location, key)] = key_node.start_mark.line + 1
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(n, (*location, i)) for i, n in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            message = f"{node.value!r} cannot be read: {error}"
            raise YamlFileError([self.fault(location, message)]) from error


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
