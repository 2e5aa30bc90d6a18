"""Reads the files of other tools as hostile input: text, JSON and XML, bounded and plain."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from pydantic import BaseModel, ValidationError

from industryasm.formats.foreign import ForeignFileError
from industryasm.regular_file import size_of_file
from industryasm.repairs import Repairs

MAX_BYTES = 64_000_000  # frame-wise CVAT files of an hour are some 20 MB

ModelT = TypeVar("ModelT", bound=BaseModel)


def files_of(source: Path, suffix: str) -> list[Path]:
    """Return `source` if it is a file, else the files in it that end in `suffix`, sorted."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ForeignFileError(f"{source}: there is no such file or folder")
    found = sorted(path for path in source.iterdir() if path.suffix.lower() == suffix)
    if not found:
        raise ForeignFileError(f"{source}: holds no *{suffix} file")
    return found


def read_text(path: Path, repairs: Repairs) -> str:
    """Read UTF-8 text; a byte-order mark is dropped and counted."""
    try:
        if size_of_file(path) > MAX_BYTES:
            raise ForeignFileError(f"{path}: is larger than {MAX_BYTES // 1_000_000} MB")
        data = path.read_bytes()
    except OSError as error:
        raise ForeignFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        repairs.add("byte-order mark dropped", f"{path}:1")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        message = f"{path}:{line}: is not UTF-8 text (byte 0x{byte:02x}); save it as UTF-8"
        raise ForeignFileError(message) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ForeignFileError(f"{path}:{line}: holds a NUL character, so it is no text")
    return text


def read_lines(path: Path, repairs: Repairs) -> list[str]:
    """Read lines without their ends; CRLF is counted, blank lines at the end are dropped."""
    text = read_text(path, repairs)
    if returns := text.count("\r\n"):
        line = text.count("\n", 0, text.index("\r\n")) + 1
        repairs.add("line ends with CRLF", f"{path}:{line}", returns)
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    while lines and not lines[-1].strip():
        repairs.add("blank line at the end dropped", f"{path}:{len(lines)}")
        lines.pop()
    return lines


def read_json(path: Path, repairs: Repairs) -> Any:
    """Read JSON without NaN, infinities, keys given twice or halves of surrogate pairs."""
    text = read_text(path, repairs)
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        if "\\u" in text:
            _refuse_halves(value)
        return value
    except json.JSONDecodeError as error:
        raise ForeignFileError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from error
    except ValueError as error:
        raise ForeignFileError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ForeignFileError(f"{path}: is nested too deeply") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _refuse_halves(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half, before = text[error.start], text[max(error.start - 20, 0) : error.start]
        raise ValueError(f"{half!r} after {before!r} is half a character") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"the key {twice!r} is given twice in one object")
    return members


def validate(value: object, model: type[ModelT], place: str, hint: str = "") -> ModelT:
    """Check a part of a JSON file; name the first fault by its place and add `hint`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ForeignFileError(f"{place}: {key}: {first['msg']}{hint}") from error


def read_xml(path: Path, repairs: Repairs, *, root: str) -> ElementTree.Element:
    """Read XML whose top element is `root`; DTDs and entities are refused before parsing."""
    text = read_text(path, repairs)
    for forbidden in ("<!DOCTYPE", "<!ENTITY"):
        if forbidden in text:
            line = text.count("\n", 0, text.index(forbidden)) + 1
            raise ForeignFileError(f"{path}:{line}: {forbidden} is not allowed; take it out")
    try:
        top = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line = error.position[0]
        raise ForeignFileError(f"{path}:{line}: is not XML: {error.msg}") from error
    if top.tag != root:
        raise ForeignFileError(f"{path}: the top element is <{top.tag}>, not <{root}>")
    return top


def attribute(element: ElementTree.Element, name: str, place: str) -> str:
    """Return an attribute that must be there."""
    value = element.get(name)
    if value is None:
        raise ForeignFileError(f"{place}: <{element.tag}> has no {name}")
    return value


def whole_number(text: str, place: str) -> int:
    """Return a decimal whole number, without signs other than `-`, of at most 12 digits."""
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise ForeignFileError(f"{place}: {text[:40]!r} is no whole number")
    return int(text)
