"""Engines on disk: built once for a GPU, a TensorRT version and a graph, and anew for others.

An engine runs only on the kind of GPU and the version that it was built for, so both stand in its
name, and its card says which bytes it has. Whatever does not hold is built again, never loaded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from models.card import ModelError
from models.runtimes.artefact import Artefact, card_file, read_artefact
from models.runtimes.gpu import find_gpu
from models.runtimes.graph import RuntimeMissingError
from models.runtimes.onnx_file import read_onnx
from models.runtimes.tensorrt_builder import (
    BATCHES,
    BackEnd,
    BackEndName,
    Batches,
    build_engine,
    find_back_end,
    known_target,
)
from models.runtimes.tensorrt_graph import EnginePrecision

logger = logging.getLogger(__name__)

PORTABLE = "portable"
"""The target of an engine that TensorRT-RTX built without being told for which GPU."""


@dataclass(frozen=True)
class EngineKey:
    """What an engine depends on."""

    back_end: BackEndName
    version: str
    target: str
    precision: EnginePrecision
    batches: Batches
    source_sha256: str

    def file_name(self, stem: str) -> str:
        """Return the engine's file name.

        >>> key = EngineKey("tensorrt-rtx", "1.7.1", "sm89", "fp16", (1, 8, 32), "ab" * 32)
        >>> key.file_name("encoder")
        'encoder.tensorrt-rtx-1.7.1.sm89.fp16.1-8-32.abababababab.engine'
        """
        batches = "-".join(map(str, self.batches))
        return (
            f"{stem}.{self.back_end}-{self.version}.{self.target}.{self.precision}."
            f"{batches}.{self.source_sha256[:12]}.engine"
        )

    def describes(self, artefact: Artefact) -> bool:
        """Return whether a card speaks of an engine with this key."""
        return (
            artefact.format == self.back_end
            and artefact.made_with == self.version
            and artefact.made_for == self.target
            and artefact.precision == self.precision
            and artefact.batches == self.batches
            and artefact.source_sha256 == self.source_sha256
        )


def cached_engine(
    source: Path,
    folder: Path,
    *,
    back_end: BackEndName,
    precision: EnginePrecision = "fp16",
    batches: Batches = BATCHES,
    target: str | None = None,
    anew: bool = False,
) -> tuple[Path, Artefact]:
    """Return the engine for the ONNX file `source` from `folder`, built if none there holds.

    `target` is a GPU's architecture (`sm89`), by default that of this machine's GPU; `anew` builds
    it whatever lies there. Raises `RuntimeMissingError` when the back end is not there, does not
    know `target`, or builds only on a GPU and there is none; `ModelError` when `folder` takes no
    engine.
    """
    found = find_back_end(back_end)
    content = read_onnx(source)
    key = EngineKey(
        back_end=back_end,
        version=found.version,
        target=_target(found, target),
        precision=precision,
        batches=batches,
        source_sha256=hashlib.sha256(content).hexdigest(),
    )
    file = folder / key.file_name(source.stem)
    if not anew and (kept := _kept(file, key)):
        return file, kept
    logger.info("building %s; this is done once", file.name)
    return file, _build(found, key, content, file, name=source.parent.name)


def _target(back_end: BackEnd, wanted: str | None) -> str:
    if wanted is not None and back_end.builds_without_gpu:
        return known_target(back_end, wanted)
    gpu, reason = find_gpu()
    if gpu is None and back_end.builds_without_gpu:
        return PORTABLE
    if gpu is None:
        raise RuntimeMissingError(f"runtime {back_end.name} builds its engine on the GPU; {reason}")
    if wanted is not None and wanted.lower() != gpu.target:
        raise RuntimeMissingError(
            f"runtime {back_end.name} builds for the GPU at hand, {gpu.target}, not for {wanted}"
        )
    return gpu.target


def _kept(file: Path, key: EngineKey) -> Artefact | None:
    with _as_model_error(file):
        if not file.is_file():
            return None
    try:
        artefact, _ = read_artefact(file)
    except ModelError as error:
        logger.warning("%s; the engine is built anew", error)
        return None
    if not key.describes(artefact):
        logger.warning("%s is for another version or GPU; the engine is built anew", file)
        return None
    return artefact


def _build(back_end: BackEnd, key: EngineKey, content: bytes, file: Path, *, name: str) -> Artefact:
    with _as_model_error(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    for path in (file, card_file(file)):
        with _as_model_error(path):
            _make_room(path)
    engine, inputs, outputs = build_engine(
        back_end,
        content,
        precision=key.precision,
        batches=key.batches,
        target=None if key.target == PORTABLE else key.target,
        timing_cache=file.parent / f"{key.back_end}-{key.version}.{key.target}.timing",
    )
    artefact = Artefact(
        graph="temporal" if "present" in inputs else "encoder",
        name=name,
        format=key.back_end,
        precision=key.precision,
        source_sha256=key.source_sha256,
        files={file.name: hashlib.sha256(engine).hexdigest()},
        made_with=key.version,
        made_for=key.target,
        batches=key.batches,
        inputs=inputs,
        outputs=outputs,
        not_compared="an engine is compared where it runs: on its GPU",
    )
    # Two stations may build at once: each publishes whole files, and the card after its engine.
    with _as_model_error(file.parent), TemporaryDirectory(dir=file.parent) as scratch:
        fresh = Path(scratch) / file.name
        fresh.write_bytes(engine)
        artefact.write(fresh)
        fresh.replace(file)
        card_file(fresh).replace(card_file(file))
    return artefact


@contextmanager
def _as_model_error(path: Path) -> Iterator[None]:
    """Raise `ModelError`, one line, for what the file system refuses at `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path}: no engine can be kept here: {reason}") from error


def _make_room(path: Path) -> None:
    """Remove an empty folder, as Docker makes of a file that it was to mount, in a file's place."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
        logger.warning("%s was an empty folder; the engine is built anew", path)
