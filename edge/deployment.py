"""The deployment file: which stations this site watches, with which cameras, tasks and models.

`load_deployment` gives it with every path absolute and every `${NAME}` filled in from the
environment; it opens no camera, no model and no database.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.functional_validators import AfterValidator

from edge.cameras.frame import NETWORK_SCHEMES
from edge.messages import Identifier
from industryasm.vocabulary import TASKS_FOLDER, task_ids
from industryasm.yaml_file import Fault, Location, YamlFile, YamlFileError
from models.runtimes.graph import RuntimeName
from models.whole_files import holds

SAMPLE = "sample:"
"""Begins the source that plays the rendered recording of a task as if it were a camera."""

MODEL_CARD = "card.json"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_IPC_PATH = 100  # a Unix socket's path ends at 107 bytes
VARIABLE = re.compile(r"\$\{([^}]*)\}")

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
# nothing more is checked before ${NAME} is filled in, nor printed then: it may hold a password
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Region = tuple[Fraction, Fraction, Fraction, Fraction]


def _local_endpoint(endpoint: str) -> str:
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return endpoint
    match = re.fullmatch(r"tcp://(.+):(\d{1,5})", endpoint)
    if not match or not 0 < int(match[2]) < 65536:
        raise ValueError("must be tcp://127.0.0.1:PORT or ipc://FILE")
    if match[1] not in LOOPBACK:
        raise ValueError(
            f"must be on this machine ({', '.join(LOOPBACK)}): "
            "what is sent to the hub is not encrypted yet"
        )
    return endpoint


def _region_in_picture(region: Region) -> Region:
    x, y, width, height = region
    if min(width, height) < 0.05:
        raise ValueError("width and height must be 0.05 or more of the picture")
    if max(x + width, y + height) > 1 + 1e-9:
        raise ValueError("must lie inside the picture: x + width and y + height at most 1")
    return region


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Frozen):
    """A production line."""

    id: Identifier
    name: Name


class Camera(_Frozen):
    """The camera of a station."""

    source: Text = Field(
        repr=False, description="URL, USB index, file, FOLDER@FPS or sample:TASK; may hold ${NAME}"
    )
    frozen_after_s: Annotated[float, Field(ge=2, le=3600)] = Field(
        default=30.0,
        description="seconds of one and the same picture after which the camera counts as blind; "
        "longer for cameras that hide their sensor's noise or send key frames rarely",
    )
    roi: Annotated[Region, AfterValidator(_region_in_picture)] | None = Field(
        default=None, description="the part that is looked at: x, y, width, height, fractions of 1"
    )


class Station(_Frozen):
    """A workplace with one camera, at which one task is done."""

    id: Identifier
    name: Name
    line: Identifier
    camera: Camera
    task: Name
    model: Path | None = Field(
        default=None, description="folder with card.json; null: the shipped model"
    )
    runtime: RuntimeName = "auto"
    runtime_fallback: bool = Field(
        default=False, description="take ONNX Runtime where the runtime is not on this machine"
    )
    idle_end_s: Annotated[float, Field(ge=1, le=86400)] | None = Field(
        default=None,
        description="seconds without any step after which a first step that does not fit begins "
        "the next unit; by default twice the longest step, 20 at least",
    )
    handover_s: Annotated[float, Field(ge=0.2, le=86400)] | None = Field(
        default=None,
        description="seconds without any step after which a finished unit is over; by default half "
        "the median step, 2 at least",
    )

    @field_validator("handover_s")
    @classmethod
    def _within_idle_end(cls, handover_s: float | None, info: ValidationInfo) -> float | None:
        idle_end_s = info.data.get("idle_end_s")
        if idle_end_s is not None and handover_s is not None and handover_s > idle_end_s:
            raise ValueError(f"must be at most idle_end_s, which is {idle_end_s:g}")
        return handover_s


ThingsT = TypeVar("ThingsT", tuple[Line, ...], tuple[Station, ...])


def _at_least_one(things: ThingsT) -> ThingsT:
    # not Field(min_length=1), which complains of emptiness too when the only item has a fault
    if not things:
        raise ValueError("at least one is needed")
    return things


class Hub(_Frozen):
    """Where stations send what they see."""

    endpoint: Annotated[Text, AfterValidator(_local_endpoint)] = Field(
        default="tcp://127.0.0.1:5750", description="tcp://127.0.0.1:PORT or ipc://FILE"
    )


class Database(_Frozen):
    """Where the hub keeps it."""

    url: Text = Field(
        default="sqlite:///linewatch.sqlite",
        repr=False,
        description="sqlite:///FILE or postgresql+psycopg://...; may hold ${NAME}",
    )


class Dashboard(_Frozen):
    """Where the pages are served."""

    address: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,255}$")] = "127.0.0.1"
    port: int = Field(default=8501, ge=1024, le=65535)


class Alerts(_Frozen):
    """Which deviations are told to people, and how."""

    log: bool = Field(default=True, description="write a line to the hub's log")
    min_state: Literal["suspected", "confirmed"] = "confirmed"


class Deployment(_Frozen):
    """What runs at one site."""

    site: Name
    data: Path = Field(default=Path("var"), description="folder of database, outboxes and sockets")
    hub: Hub = Hub()
    database: Database = Database()
    dashboard: Dashboard = Dashboard()
    alerts: Alerts = Alerts()
    lines: Annotated[tuple[Line, ...], Field(max_length=100), AfterValidator(_at_least_one)]
    stations: Annotated[tuple[Station, ...], Field(max_length=1000), AfterValidator(_at_least_one)]

    def line(self, line_id: str) -> Line:
        """Return the line of this id; raise `KeyError` when there is none."""
        return _by_id(self.lines, line_id)

    def station(self, station_id: str) -> Station:
        """Return the station of this id; raise `KeyError` when there is none."""
        return _by_id(self.stations, station_id)


NamedT = TypeVar("NamedT", Line, Station)


def _by_id(things: tuple[NamedT, ...], wanted: str) -> NamedT:
    for thing in things:
        if thing.id == wanted:
            return thing
    raise KeyError(wanted)


def load_deployment(
    path: Path,
    *,
    tasks_folder: Path = TASKS_FOLDER,
    environment: Mapping[str, str] = os.environ,
) -> Deployment:
    """Read `path`; relative paths are taken from its folder, the database's from the data folder.

    Raises `YamlFileError` with file, line and key of everything that is wrong.
    """
    file = YamlFile(path)
    resolver = _Resolver(file, task_ids(tasks_folder), environment)
    deployment = resolver.deployment(file.validate(Deployment))
    if resolver.faults:
        raise YamlFileError(sorted(resolver.faults, key=lambda fault: fault.line))
    return deployment


class _Resolver:
    """Fills in variables and paths, and collects what is wrong with them in `faults`."""

    def __init__(
        self, file: YamlFile, tasks: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._folder = file.path.resolve().parent
        self._tasks = tasks
        self._environment = environment

    def deployment(self, written: Deployment) -> Deployment:
        data = self._folder / written.data
        self._refuse_duplicates("lines", [line.id for line in written.lines])
        self._refuse_duplicates("stations", [station.id for station in written.stations])
        line_ids = [line.id for line in written.lines]
        for index, station in enumerate(written.stations):
            if station.line not in line_ids:
                message = f"unknown line {station.line!r}: known are {', '.join(line_ids)}"
                self._fault(("stations", index, "line"), message)
        stations = tuple(self._station(i, s) for i, s in enumerate(written.stations))
        return written.model_copy(
            update={
                "data": data,
                "hub": Hub.model_construct(endpoint=self._endpoint(written.hub.endpoint, data)),
                "database": Database.model_construct(url=self._url(written.database.url, data)),
                "stations": stations,
            }
        )

    def _station(self, index: int, written: Station) -> Station:
        at = ("stations", index)
        self._check_task((*at, "task"), written.task)
        source = self._source((*at, "camera", "source"), written.camera.source)
        model = self._folder / written.model if written.model else None
        if model and not holds(Path.is_file, model / MODEL_CARD):
            self._fault((*at, "model"), f"no model here: {model} has no {MODEL_CARD}")
        camera = written.camera.model_copy(update={"source": source})
        return written.model_copy(update={"camera": camera, "model": model})

    def _source(self, at: Location, written: str) -> str:
        source = self._filled_in(at, written)
        if source is None or source.isdigit():
            return written if source is None else source
        if source.startswith(SAMPLE):
            self._check_task(at, source.removeprefix(SAMPLE))
            return source
        scheme, separator, _ = source.partition("://")
        if separator:
            if scheme.lower() not in NETWORK_SCHEMES:
                self._fault(at, f"must begin with {'://, '.join(NETWORK_SCHEMES)}:// or be a file")
            return source
        path = self._folder / source
        folder, rate_follows, _ = str(path).rpartition("@")
        if not (holds(Path.exists, path) or (rate_follows and holds(Path.is_dir, folder))):
            shown = written if VARIABLE.search(written) else path  # a variable may be a secret
            self._fault(at, f"there is no file {shown}")
        return str(path)

    def _endpoint(self, written: str, data: Path) -> str:
        kind, _, name = written.partition("://")
        if kind != "ipc":
            return written
        socket = data / name
        if len(os.fsencode(socket)) > MAX_IPC_PATH:
            message = f"{socket} is longer than {MAX_IPC_PATH} bytes; use tcp://127.0.0.1:PORT"
            self._fault(("hub", "endpoint"), message)
        return f"ipc://{socket}"

    def _url(self, written: str, data: Path) -> str:
        at = ("database", "url")
        url = self._filled_in(at, written) or ""
        kind, _, name = url.partition(":///")
        if kind == "sqlite" and name and name != ":memory:":
            return f"sqlite:///{data / name}"
        if url and not url.startswith("postgresql+psycopg://"):
            self._fault(
                at, "must be sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
            )
        return url

    def _filled_in(self, at: Location, written: str) -> str | None:
        """Return `written` with its variables' values; None, and a fault, when one has none.

        A password between : and @ of the database's URL may hold what has a meaning in one.
        """
        names = VARIABLE.findall(written)
        missing = [name for name in names if not self._environment.get(name)]
        if missing:
            self._fault(at, f"the environment variable {missing[0]} is not set")
            return None

        def value(match: re.Match[str]) -> str:
            found = self._environment[match[1]]
            before, behind = written[: match.start()], written[match.end() :]
            is_password = at[0] == "database" and before.endswith(":") and behind.startswith("@")
            return quote(found, safe="%") if is_password else found

        return VARIABLE.sub(value, written)

    def _check_task(self, at: Location, task: str) -> None:
        if task not in self._tasks:
            self._fault(at, f"unknown task {task!r}: known are {', '.join(self._tasks)}")

    def _refuse_duplicates(self, key: str, ids: Sequence[str]) -> None:
        for index, name in enumerate(ids):
            if name in ids[:index]:
                self._fault((key, index, "id"), f"{name!r} is given twice")

    def _fault(self, at: Location, message: str) -> None:
        self.faults.append(self._file.fault(at, message))
