"""Files take their places whole, a writer's all together, cards behind what they vouch for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models import whole_files
from models.whole_files import (
    WriteError,
    holds,
    put_in_place,
    read_regular,
    replacing_in,
    write_whole,
)


def test_a_file_is_put_in_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("new")
    (tmp_path / "file").write_text("old")
    put_in_place(tmp_path / "part", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "part").exists()


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing_in(tmp_path) as scratch:
            (scratch / "card.json").write_text("new")
            raise ZeroDivisionError

    write_whole(tmp_path / "card.json", "old")
    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
    assert (tmp_path / "card.json").read_text() == "old"


def test_cards_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    put = whole_files.put_in_place
    monkeypatch.setattr(
        whole_files, "put_in_place", lambda part, path: (moved.append(path.name), put(part, path))
    )
    with replacing_in(tmp_path / "model") as scratch:
        for name in ("a.json", "b.onnx", "c.json", "d.safetensors"):
            (scratch / name).write_text("")
    assert {name.rpartition(".")[2] for name in moved[:2]} == {"onnx", "safetensors"}
    assert {name.rpartition(".")[2] for name in moved[2:]} == {"json"}


def test_two_writers_at_once_leave_the_files_of_one(tmp_path: Path) -> None:
    names = [f"{place}.bin" for place in range(20)]
    gate = threading.Barrier(4)

    def write(writer: str) -> None:
        for _ in range(10):
            with replacing_in(tmp_path) as scratch:
                for name in names:
                    (scratch / name).write_text(writer)
                gate.wait()

    writers = [threading.Thread(target=write, args=(writer,)) for writer in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({(tmp_path / name).read_text() for name in names}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


KILLED = """
import os, sys
from pathlib import Path
from models import whole_files
put = whole_files.put_in_place
def put_one(part, path):
    put(part, path)
    os.kill(os.getpid(), 9)
whole_files.put_in_place = put_one
with whole_files.replacing_in(Path(sys.argv[1])) as scratch:
    (scratch / "graph.onnx").write_text("new")
    (scratch / "card.json").write_text("new")
"""


def test_a_writer_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    write_whole(tmp_path / "card.json", "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert (tmp_path / "card.json").read_text() == "old"
    write_whole(tmp_path / "card.json", "newer")
    assert (tmp_path / "card.json").read_text() == "newer"


def test_what_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WriteError, match="cannot be written") as told, replacing_in(folder):
            pass
        assert str(tmp_path) in str(told.value)
        assert "\n" not in str(told.value)
    (tmp_path / "card.json").mkdir()
    with pytest.raises(WriteError, match=r"card\.json"):
        write_whole(tmp_path / "card.json", "new")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular(tmp_path / "file") == b"content"
    assert read_regular(tmp_path / "file", 3) == b"con"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(OSError, match=path.name):
            read_regular(path)


def test_a_name_that_is_too_long_is_nothing(tmp_path: Path) -> None:
    assert holds(Path.is_dir, tmp_path)
    assert not holds(Path.is_dir, "x" * 300)
    assert not holds(Path.exists, tmp_path / ("x" * 300))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def write() -> None:
        with replacing_in(tmp_path) as scratch:
            (scratch / "graph.onnx").symlink_to("/dev/full")
            (scratch / "graph.onnx").write_bytes(b"x" * 100_000)

    with pytest.raises(WriteError, match="No space left"):
        write()
    assert not list(tmp_path.iterdir())
