"""Builds TensorRT engines: one way in, two back ends behind it.

`tensorrt` serves data centres and Jetson and builds on the GPU that will run the engine.
`tensorrt-rtx` serves GeForce and RTX GPUs and also builds without one, for a GPU that is named;
it has no timing cache (no-ops since its release 1.2, where asking for one needs a GPU).
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from models.card import ModelError
from models.runtimes.graph import RuntimeMissingError, Shape
from models.runtimes.tensorrt_graph import EnginePrecision, typed_graph

logger = logging.getLogger(__name__)

BackEndName = Literal["tensorrt", "tensorrt-rtx"]
Batches = tuple[int, int, int]
BATCHES: Batches = (1, 8, 32)
"""Smallest, best and largest batch of an engine: one camera, several, and what is left over."""

OLDEST = {
    "tensorrt": (10, 12),
    "tensorrt-rtx": (1, 2),
}  # strongly typed networks, no precision flag


@dataclass(frozen=True)
class BackEnd:
    """An installed TensorRT: its module, and what sets it apart from the other."""

    name: BackEndName
    module: ModuleType
    version: str

    @property
    def builds_without_gpu(self) -> bool:
        """Whether it builds for a GPU that is not here."""
        return self.name == "tensorrt-rtx"

    @property
    def has_timing_cache(self) -> bool:
        """Whether it measures kernels while it builds, and remembers what it measured."""
        return self.name == "tensorrt"


def find_back_end(name: BackEndName) -> BackEnd:
    """Return an installed back end; raise `RuntimeMissingError` when it is not there or too old."""
    try:
        module = importlib.import_module(name.replace("-", "_"))
        version = str(module.__version__)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        # The package `tensorrt` of PyPI is a stub whose libraries come from NVIDIA's own index.
        raise RuntimeMissingError(
            f"runtime {name} is not installed: pip install 'linewatch[{name}]', "
            "or set runtime: auto"
        ) from error
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        raise RuntimeMissingError(
            f"runtime {name}: version {version} is too old, needed is {oldest}"
        )
    return BackEnd(name, module, version)


def known_target(back_end: BackEnd, target: str) -> str:
    """Return the GPU's architecture `target` as engines are named by it: `SM89` is `sm89`.

    Raises `RuntimeMissingError` when the back end does not build for it.
    """
    words = dir(back_end.module.ComputeCapability)
    known = sorted(word.lower() for word in words if word.startswith("SM"))
    if target.lower() not in known:
        raise RuntimeMissingError(
            f"runtime {back_end.name} {back_end.version} builds for {', '.join(known)}, not for "
            f"{target!r}: use the runtime tensorrt or cuda on that GPU"
        )
    return target.lower()


def build_engine(
    back_end: BackEnd,
    content: bytes,
    *,
    precision: EnginePrecision,
    batches: Batches = BATCHES,
    target: str | None = None,
    timing_cache: Path | None = None,
) -> tuple[bytes, dict[str, Shape], dict[str, Shape]]:
    """Build an engine from the bytes of an ONNX file; return it with its inputs and outputs.

    `target` is the GPU's architecture (`sm89`); None for what the back end takes by itself: the GPU
    at hand, or with TensorRT-RTX and no GPU an engine for several. `timing_cache` is read and
    written where the back end has one. Raises `ModelError` with TensorRT's first complaint.
    """
    log = _log(back_end.module)
    builder = _required(_attempt(back_end.module.Builder, log), log, "no builder can be made")
    network = builder.create_network(_network_flags(back_end.module))
    parser = back_end.module.OnnxParser(network, log)
    if not parser.parse(typed_graph(content, precision)):
        raise ModelError(f"{back_end.name} cannot read the graph: {log.first or 'no reason given'}")
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(builder, network, batches))
    if target is not None and back_end.builds_without_gpu:
        _aim(back_end, config, target)
    cache = _open_timing_cache(back_end, config, timing_cache)
    engine = _required(
        _attempt(builder.build_serialized_network, network, config), log, "no engine is built"
    )
    if cache is not None and timing_cache is not None:
        _keep_timing_cache(config, timing_cache)
    inputs = {i.name: _shape(i) for i in map(network.get_input, range(network.num_inputs))}
    outputs = {o.name: _shape(o) for o in map(network.get_output, range(network.num_outputs))}
    return bytes(engine), inputs, outputs


def _log(module: ModuleType) -> Any:
    """Return a logger that keeps TensorRT's first error and prints none of its many lines."""

    class Log(module.ILogger):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.first = ""

        def log(self, severity: Any, message: str) -> None:
            logger.debug("%s", message)
            if severity <= module.ILogger.ERROR and not self.first:
                self.first = " ".join(message.split())[:300]

    return Log()


def _attempt(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (RuntimeError, TypeError):  # pybind says with TypeError that there is no object
        return None


def _required(thing: Any, log: Any, what: str) -> Any:
    if thing is None:
        raise ModelError(f"TensorRT: {what}: {log.first or 'no reason given'}")
    return thing


def _network_flags(module: ModuleType) -> int:
    # The batch is explicit in every version since 10; strong typing is the rule since 11.
    typed = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if typed is None else 1 << int(typed)


def _profile(builder: Any, network: Any, batches: Batches) -> Any:
    profile = builder.create_optimization_profile()
    for value in map(network.get_input, range(network.num_inputs)):
        rest = tuple(value.shape)[1:]
        if value.shape[0] != -1 or -1 in rest:
            raise ModelError(f"TensorRT: input {value.name} {tuple(value.shape)}: only the batch "
                             "may be free")  # fmt: skip
        profile.set_shape(value.name, *((batch, *rest) for batch in batches))
    return profile


def _aim(back_end: BackEnd, config: Any, target: str) -> None:
    name = known_target(back_end, target).upper()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(back_end.module.ComputeCapability, name), 0)


def _open_timing_cache(back_end: BackEnd, config: Any, path: Path | None) -> Any:
    if path is None or not back_end.has_timing_cache:
        return None
    content = path.read_bytes() if path.is_file() else b""
    # A cache of another version or GPU, or a damaged one, gives an empty one and a warning.
    cache = _attempt(config.create_timing_cache, content) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    return cache


def _keep_timing_cache(config: Any, path: Path) -> None:
    try:
        path.write_bytes(bytes(config.get_timing_cache().serialize()))
    except OSError as error:  # what was built holds all the same; the next build takes longer
        logger.warning("%s: cannot be written: %s", path, error.strerror or error)


def _shape(value: Any) -> Shape:
    return tuple(None if length == -1 else int(length) for length in value.shape)
