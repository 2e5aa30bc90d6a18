"""The deployment file: the example works, and what is wrong is named with line and key."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from edge.deployment import Deployment, load_deployment
from industryasm.yaml_file import YamlFileError
from models.runtimes.graph import RuntimeName

ROOT = Path(__file__).resolve().parents[1]

GOOD = """\
site: Works
data: var
hub: {endpoint: "tcp://127.0.0.1:5750"}
database:
  url: sqlite:///linewatch.sqlite
lines:
  - {id: l1, name: Line 1}
stations:
  - id: s1
    name: Bench 1
    line: l1
    camera: {source: "rtsp://10.0.0.7/live"}
    task: gear-reducer
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name in ("gear-reducer", "relay-module"):
        (folder / f"{name}.yaml").touch()
    return folder


def load(tasks: Path, text: str, **environment: str) -> Deployment:
    path = tasks.parent / "deploy.yaml"
    path.write_text(text)
    return load_deployment(path, tasks_folder=tasks, environment=environment)


def faults(tasks: Path, text: str, **environment: str) -> list[tuple[int, str, str]]:
    with pytest.raises(YamlFileError) as error:
        load(tasks, text, **environment)
    return [(fault.line, fault.key, fault.message) for fault in error.value.faults]


def test_the_example_at_the_root_is_right(tasks: Path) -> None:
    deployment = load_deployment(ROOT / "deploy.yaml", tasks_folder=tasks, environment={})
    assert [station.id for station in deployment.stations] == ["gear-1", "relay-1"]
    assert deployment.station("gear-1").camera.source == "sample:gear-reducer"
    assert deployment.line("line-1").name == "Line 1"
    assert deployment.database.url == f"sqlite:///{ROOT / 'var' / 'linewatch.sqlite'}"


def test_what_is_left_out_has_a_default(tasks: Path) -> None:
    text = GOOD.replace('hub: {endpoint: "tcp://127.0.0.1:5750"}\n', "").replace("data: var\n", "")
    deployment = load(tasks, text.replace("database:\n  url: sqlite:///linewatch.sqlite\n", ""))
    assert deployment.hub.endpoint == "tcp://127.0.0.1:5750"
    assert deployment.data == tasks.parent / "var"
    assert deployment.database.url == f"sqlite:///{tasks.parent}/var/linewatch.sqlite"
    assert deployment.dashboard.port == 8501
    assert deployment.alerts.min_state == "confirmed"
    assert deployment.stations[0].model is None


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "told"),
    [
        ("site: Works", "site: Works\nshift: 1", 2, "shift", "unknown key"),
        ("site: Works\n", "", 1, "site", "is missing"),
        ("id: s1", "id: s1\n    rate_hz: 5", 10, "stations.0.rate_hz", "unknown key"),
        ("id: s1", "id: s 1", 9, "stations.0.id", "pattern"),
        ("line: l1", "line: l2", 11, "stations.0.line", "unknown line 'l2': known are l1"),
        ("gear-reducer", "gearbox", 13, "stations.0.task", "known are gear-reducer, relay-module"),
        ("gear-reducer", "gear-reducer\n    model: no/such", 14, "stations.0.model", "card.json"),
        ("gear-reducer", "gear-reducer\n    runtime: gpu", 14, "stations.0.runtime", "'cuda'"),
        ("gear-reducer", "gear-reducer\n    runtime_fallback: maybe", 14,
         "stations.0.runtime_fallback", "boolean"),
        ('"rtsp://10.0.0.7/live"', '"ftp://h/x"', 12, "stations.0.camera.source", "rtsps://"),
        ('"rtsp://10.0.0.7/live"', "no.mp4", 12, "stations.0.camera.source", "no file"),
        ('"rtsp://10.0.0.7/live"', "sample:x", 12, "stations.0.camera.source", "unknown task 'x'"),
        ('"rtsp://10.0.0.7/live"', '""', 12, "stations.0.camera.source", "at least 1"),
        ("live\"}", 'live", roi: [0.5, 0, 0.6, 1]}', 12, "stations.0.camera.roi", "inside"),
        ("live\"}", 'live", roi: [0, 0, 0, 1]}', 12, "stations.0.camera.roi", "0.05 or more"),
        ("gear-reducer", "gear-reducer\n    idle_end_s: 0", 14, "stations.0.idle_end_s", "greater"),
        ("gear-reducer", "gear-reducer\n    idle_end_s: 20\n    handover_s: 30", 15,
         "stations.0.handover_s", "at most idle_end_s, which is 20"),
        ("live\"}", 'live", roi: [0, 0, 1, 2]}', 12, "stations.0.camera.roi.3", "less than"),
        ("127.0.0.1:5750", "0.0.0.0:5750", 3, "hub.endpoint", "not encrypted yet"),
        ("127.0.0.1:5750", "*:5750", 3, "hub.endpoint", "not encrypted yet"),
        ("127.0.0.1:5750", "127.0.0.1.evil.example:5750", 3, "hub.endpoint", "not encrypted yet"),
        ("127.0.0.1:5750", "127.0.0.1:0", 3, "hub.endpoint", "tcp://127.0.0.1:PORT"),
        ("127.0.0.1:5750", "127.0.0.1:65536", 3, "hub.endpoint", "tcp://127.0.0.1:PORT"),
        ("tcp://127.0.0.1:5750", "udp://127.0.0.1:5750", 3, "hub.endpoint", "ipc://FILE"),
        ("tcp://127.0.0.1:5750", "ipc://" + "x" * 100, 3, "hub.endpoint", "longer than"),
        ("sqlite:///linewatch.sqlite", "mysql://h/d", 5, "database.url", "postgresql+psycopg://"),
        ("sqlite:///linewatch.sqlite", "sqlite://", 5, "database.url", "sqlite:///FILE"),
        ("sqlite:///linewatch.sqlite", "'sqlite:///:memory:'", 5, "database.url", "sqlite:///FILE"),
        ("data: var", "dashboard: {port: 80}", 2, "dashboard.port", "1024"),
        ("data: var", "alerts: {email: me}", 2, "alerts.email", "unknown key"),
        ("  - {id: l1, name: Line 1}", "  []", 6, "lines", "at least one"),
        ("Line 1}", "Line 1}\n  - {id: l1, name: Line 2}", 8, "lines.1.id", "twice"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_line_and_key(
    tasks: Path, old: str, new: str, line: int, key: str, told: str
) -> None:
    assert old in GOOD
    [(at_line, at_key, message)] = faults(tasks, GOOD.replace(old, new))
    assert (at_line, at_key) == (line, key)
    assert told in message


@pytest.mark.parametrize("runtime", get_args(RuntimeName))
def test_every_runtime_can_be_asked_for_and_its_fallback_is_off(tasks: Path, runtime: str) -> None:
    text = GOOD.replace("gear-reducer", f"gear-reducer\n    runtime: {runtime}")
    [station] = load(tasks, text).stations
    assert (station.runtime, station.runtime_fallback) == (runtime, False)
    [station] = load(tasks, text + "    runtime_fallback: true\n").stations
    assert station.runtime_fallback


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tasks: Path) -> None:
    station = GOOD[GOOD.index("  - id: s1") :]
    text = (GOOD + station).replace("gear-reducer", "gearbox").replace("sqlite:", "mysql:")
    assert [(line, key) for line, key, _ in faults(tasks, text)] == [
        (5, "database.url"),
        (13, "stations.0.task"),
        (14, "stations.1.id"),
        (18, "stations.1.task"),
    ]


def test_secrets_come_from_the_environment_and_are_not_shown(tasks: Path) -> None:
    text = GOOD.replace("rtsp://10", "rtsp://cam:${CAM}@10")
    text = text.replace("sqlite:///linewatch.sqlite", "postgresql+psycopg://u:${DB}@h/linewatch")
    deployment = load(tasks, text, CAM="hunter2", DB="hunter3")
    assert deployment.stations[0].camera.source == "rtsp://cam:hunter2@10.0.0.7/live"
    assert deployment.database.url == "postgresql+psycopg://u:hunter3@h/linewatch"
    assert "hunter" not in repr(deployment)


def test_a_secret_with_signs_of_a_url_stays_in_its_place(tasks: Path) -> None:
    text = GOOD.replace("sqlite:///linewatch.sqlite", "postgresql+psycopg://u:${DB}@h/linewatch")
    deployment = load(tasks, text, DB="geh@e:i/m")
    assert deployment.database.url == "postgresql+psycopg://u:geh%40e%3Ai%2Fm@h/linewatch"
    whole = GOOD.replace("sqlite:///linewatch.sqlite", "${DB}")
    url = "postgresql+psycopg://u:p@h/linewatch"
    assert load(tasks, whole, DB=url).database.url == url


def test_a_source_from_the_environment_is_not_shown_where_it_is_wrong(tasks: Path) -> None:
    text = GOOD.replace("rtsp://10.0.0.7/live", "${CAM}")
    [(_, _, message)] = faults(tasks, text, CAM="rtsp:/admin:topsecret@10.0.0.7")
    assert message == "there is no file ${CAM}"


@pytest.mark.parametrize("environment", [{}, {"CAM": ""}])
def test_a_variable_that_is_not_set_is_a_fault(tasks: Path, environment: dict[str, str]) -> None:
    text = GOOD.replace("rtsp://10", "rtsp://cam:${CAM}@10")
    [(line, key, message)] = faults(tasks, text, **environment)
    assert (line, key) == (12, "stations.0.camera.source")
    assert message == "the environment variable CAM is not set"


def test_a_fault_in_a_secret_does_not_show_it(tasks: Path) -> None:
    text = GOOD.replace("sqlite:///linewatch.sqlite", "${URL}")
    [(line, key, message)] = faults(tasks, text, URL="mysql://u:hunter2@h/d")
    assert (line, key) == (5, "database.url")
    assert "hunter" not in message


def test_paths_are_relative_to_the_file_and_the_data_folder(tasks: Path) -> None:
    folder = tasks.parent
    (folder / "m").mkdir()
    (folder / "m" / "card.json").write_text("{}")
    (folder / "pictures").mkdir()
    text = GOOD.replace('"rtsp://10.0.0.7/live"', "pictures@10").replace(
        "tcp://127.0.0.1:5750", "ipc://hub"
    )
    deployment = load(tasks, text.replace("gear-reducer", "gear-reducer\n    model: m"))
    assert deployment.stations[0].camera.source == f"{folder}/pictures@10"
    assert deployment.stations[0].model == folder / "m"
    assert deployment.hub.endpoint == f"ipc://{folder}/var/hub"


def test_an_absolute_database_path_stays(tasks: Path) -> None:
    deployment = load(tasks, GOOD.replace("sqlite:///line", "sqlite:////srv/line"))
    assert deployment.database.url == "sqlite:////srv/linewatch.sqlite"


def test_a_usb_camera_is_named_by_its_index(tasks: Path) -> None:
    deployment = load(tasks, GOOD.replace('"rtsp://10.0.0.7/live"', '"0"'))
    assert deployment.stations[0].camera.source == "0"


def test_a_usb_index_without_quotes_is_a_fault_that_says_so(tasks: Path) -> None:
    [(line, key, message)] = faults(tasks, GOOD.replace('"rtsp://10.0.0.7/live"', "0"))
    assert (line, key) == (12, "stations.0.camera.source")
    assert "string" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(YamlFileError, match=r"nowhere\.yaml:1: cannot be read: No such file"):
        load_deployment(tmp_path / "nowhere.yaml")
