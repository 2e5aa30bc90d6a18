"""Compares what an annotation tool writes and reads with what is kept: `check.py [--keep] NAME`.

NAME is an environment in .venv-tools. The tool's own code writes the story, which must be the file
in tests/annotations/tools but for times and names that are new at every run, and reads our export
of tests/annotations/bench.csv, in which it must find the same segments. `--keep` takes the written
files over into tests/annotations/tools.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from story import NUM_FRAMES, RATE_HZ, STORY, VIDEO

from tests.clip import write_clip

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "annotations" / "tools"
LINEWATCH = ROOT / ".venv" / "bin" / "linewatch"
LIMIT_S = 1200


@dataclass(frozen=True)
class Tool:
    """The script that runs in a tool's environment, our name of its format, what it writes."""

    script: str
    format: str
    files: tuple[str, ...]


CVAT_FILES = ("cvat-datumaro-tracks.xml", "cvat-datumaro-tags.xml")
TOOLS = {
    "elan": Tool("elan_pympi.py", "elan", ("elan-pympi.eaf",)),
    "cvat": Tool("cvat_datumaro.py", "cvat", CVAT_FILES),
    "label-studio": Tool("label_studio_server.py", "label-studio", ("label-studio.json",)),
    "boris-8": Tool("boris_program.py", "boris", ("boris-8.boris",)),
    "boris-10": Tool("boris_program.py", "boris", ("boris-10.boris",)),
}
NEW_EACH_TIME = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r'(?<="id":")[\w-]{10}(?=")',  # a region of Label Studio
    r"[0-9a-f]{8}(?=-bench\.mp4)",  # an uploaded file of Label Studio
    r'(?<="lead_time":)[\d.]+',
)


def compare(kept: Path, made: Path) -> str:
    """Return how two files differ but for what is new each time; nothing where they do not."""
    texts: list[list[str]] = []
    for path in (kept, made):
        text = path.read_text(encoding="utf-8")
        for pattern in NEW_EACH_TIME:
            text = re.sub(pattern, "*", text)
        texts.append(text.replace(",", ",\n").splitlines())
    return "\n".join(difflib.unified_diff(*texts, "kept", "made", lineterm="", n=1))


def linewatch(*arguments: object) -> None:
    command = [LINEWATCH, "data", *arguments]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def export(kind: str, folder: Path) -> Path:
    """Import the kept recording with a video and export it; return the folder of the export."""
    (folder / "videos").mkdir()
    write_clip(folder / "videos" / VIDEO, [index / RATE_HZ for index in range(NUM_FRAMES)])
    linewatch(
        *("import", "csv", ROOT / "tests" / "annotations" / "bench.csv", folder / "data"),
        *("--new-task", "toy", "--tier", "steps", "--drop-layers", "--videos", folder / "videos"),
    )
    linewatch("export", kind, folder / "data", folder / "ours")
    return folder / "ours"


def run(name: str, folder: Path) -> Path:
    """Let the tool write and read in an environment of its own; return the folder it wrote into."""
    tool, out = TOOLS[name], folder / "out"
    for made in (out, folder / "home"):
        made.mkdir()
    command = [
        ROOT / ".venv-tools" / name / "bin" / "python",
        *(Path(__file__).with_name(tool.script), export(tool.format, folder)),
        *(folder / "videos", out),
    ]
    home = str(folder / "home")  # no settings of whoever runs this
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_RUNTIME_DIR": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode or not (out / "read.json").is_file():
        raise SystemExit(f"{name}: ended with {done.returncode}\n{done.stdout[-4000:]}")
    return out


def main() -> None:
    keep, name = "--keep" in sys.argv[1:], sys.argv[-1]
    with tempfile.TemporaryDirectory() as folder:
        out = run(name, Path(folder))
        for file in TOOLS[name].files:
            if keep:
                shutil.copyfile(out / file, KEPT / file)
            elif difference := compare(KEPT / file, out / file):
                raise SystemExit(f"{name}: {file} is not what it wrote when kept\n{difference}")
        found = json.loads((out / "read.json").read_text())
    if found["segments"] != [list(row) for row in STORY]:
        raise SystemExit(f"{name}: reads {found['segments']} in our export, not {STORY}")
    files = " and ".join(TOOLS[name].files)
    print(f"{found['version']} writes {files} as kept, and reads our export as it is")


if __name__ == "__main__":
    main()
