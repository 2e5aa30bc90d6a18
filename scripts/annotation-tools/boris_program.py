"""Lets BORIS itself write a project and read ours: `boris_program.py OURS VIDEOS OUT`.

BORIS runs without a display. What a person would click is called here: it makes the observation
from the folder of the video, takes the events one by one, saves the project, and opens ours, checks
it and pairs its events. BORIS is GPL: it stays in an environment of its own, nothing of it is here
or in Linewatch.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

arguments = sys.argv[1:]
sys.argv[1:] = ["--no-first-launch-dialog"]  # BORIS reads them when it is imported
os.environ["QT_QPA_PLATFORM"] = "offscreen"

from boris import config as cfg  # noqa: E402
from boris import core, dialog, observation_operations, project_functions, write_event  # noqa: E402
from boris import utilities as util  # noqa: E402
from story import RATE_HZ, STORY, VIDEO, write_read  # noqa: E402

RELATIVE = {"Save the absolute media file path": False, "Use relative paths": True}  # 8 and 10


def write(window: core.MainWindow, video: Path, path: Path) -> None:
    path.with_name(VIDEO).hardlink_to(video)
    project = copy.deepcopy(cfg.EMPTY_PROJECT)
    project["project_name"], project["project_date"] = "bench", "2026-11-22T12:00:00"
    labels = dict.fromkeys(label for label, _, _ in STORY)
    for index, label in enumerate(labels):
        project[cfg.ETHOGRAM][str(index)] = behaviour(label)
    path.write_text(json.dumps(project))
    load(window, path)
    make_observations(window, path.parent)
    (name,) = window.pj[cfg.OBSERVATIONS]
    if message := observation_operations.load_observation(window, name, mode=cfg.VIEW):
        raise SystemExit(message)
    for label, start, end in STORY:
        for frame in (start, end):
            event = {**window.full_event(str(list(labels).index(label))), cfg.FRAME_INDEX: frame}
            write_event.write_event(window, event, Decimal(frame) / RATE_HZ)
    if window.save_project_json(str(path)) != 0:
        raise SystemExit("BORIS did not save the project")


def behaviour(label: str) -> dict[str, Any]:
    empty = ("description", "color", "category", "excluded", "coding map")
    return {
        **dict.fromkeys(empty, ""),
        **{"type": cfg.STATE_EVENT, "key": label[0], "code": label, "modifiers": {}},
    }


def make_observations(window: core.MainWindow, folder: Path) -> None:
    """Call `Create observations from a directory of media files`, its dialogs answered."""

    class Folder:
        getExistingDirectory = staticmethod(lambda *_: str(folder))  # noqa: N815

    def answer(asked: dialog.Input_dialog) -> bool:
        for name, wanted in RELATIVE.items():
            if name in asked.elements:
                asked.elements[name].setChecked(wanted)
        return True

    observation_operations.QFileDialog = Folder
    dialog.Input_dialog.exec_ = dialog.Input_dialog.exec = answer
    observation_operations.create_observations(window)


def load(window: core.MainWindow, path: Path) -> str:
    found, changed, project, message = project_functions.open_project_json(str(path))
    if "error" in project:
        raise SystemExit(f"BORIS cannot open {path.name}: {project['error']}")
    window.load_project(found, changed, project)
    return str(message)


def read(window: core.MainWindow, path: Path, out: Path) -> list[tuple[str, float, float]]:
    """Open our project as BORIS does, and let it check the project and export the events."""
    if message := load(window, path):
        raise SystemExit(f"BORIS says of {path.name}: {message}")
    project = window.pj
    if fault := project_functions.check_project_integrity(project, cfg.S, str(path)):
        raise SystemExit(f"BORIS says of {path.name}: {fault}")
    (name,) = project[cfg.OBSERVATIONS]
    observation = project[cfg.OBSERVATIONS][name]
    codes = [entry["code"] for entry in project[cfg.ETHOGRAM].values()]
    export_table(project, name, codes, out)
    rows = project_functions.events_start_stop(
        project[cfg.ETHOGRAM], observation[cfg.EVENTS], observation[cfg.TYPE]
    )
    starts: dict[str, float] = {}
    found: list[tuple[str, float, float]] = []
    for row in rows:
        frame = round(float(row[0]) * RATE_HZ, 6)
        if row[-1] == cfg.START:
            starts[row[2]] = frame
        else:
            found.append((row[2], starts.pop(row[2]), frame))
    return found


def export_table(project: dict[str, Any], name: str, codes: list[str], out: Path) -> None:
    from boris import export_observation

    subjects = [entry["name"] for entry in project[cfg.SUBJECTS].values()]
    wanted = {
        cfg.SELECTED_SUBJECTS: subjects,
        cfg.SELECTED_BEHAVIORS: codes,
        "time": cfg.TIME_FULL_OBS,
    }
    ethogram, observation = project[cfg.ETHOGRAM], project[cfg.OBSERVATIONS][name]
    done, fault = export_observation.export_tabular_events(
        project, wanted, name, observation, ethogram, str(out / "events.tsv"), "tsv"
    )
    if not done:
        raise SystemExit(f"BORIS cannot export the events: {fault}")


def main() -> None:
    ours, videos, out = map(Path, arguments)
    application = core.QApplication(["boris"])
    application.setApplicationName(cfg.programName)
    for answer in ("information", "critical", "warning"):
        setattr(core.QMessageBox, answer, staticmethod(lambda *said: print(said[2])))
    found, ffmpeg = util.check_ffmpeg_path()
    if not found:
        raise SystemExit("BORIS needs ffmpeg: apt-get install ffmpeg")
    window = core.MainWindow(ffmpeg)
    number = version("boris-behav-obs")
    write(window, videos / VIDEO, out / f"boris-{number.split('.')[0]}.boris")
    write_read(out, f"BORIS {number}", read(window, ours / "project.boris", out))
    sys.stdout.flush()
    os._exit(0)  # closing the window would ask, and write settings


if __name__ == "__main__":
    main()
