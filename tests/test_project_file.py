"""The project file: a wheel lacks nothing that runs, and the import rules leave no module out."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from edge.answers.reader import READER

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KNOWN_TO_THE_DASHBOARD = {"edge.deployment", "edge.messages"}


def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    with zipfile.ZipFile(*tmp_path.glob("*.whl")) as wheel:
        held = set(wheel.namelist())
    wanted = {
        file.relative_to(ROOT).as_posix().removeprefix("datasets/")
        for folder in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
        for file in [ROOT / folder, *(ROOT / folder).rglob("*")]
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert READER.relative_to(ROOT).as_posix() in wanted
    assert wanted - held == set()


def test_the_dashboard_may_import_no_module_of_the_edge_but_two() -> None:
    modules = {
        f"edge.{path.stem}"
        for path in (ROOT / "edge").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    } - {"edge.__init__"}
    (contract,) = (
        contract
        for contract in PROJECT["tool"]["importlinter"]["contracts"]
        if contract["type"] == "forbidden"
    )
    assert set(contract["forbidden_modules"]) == modules - KNOWN_TO_THE_DASHBOARD
