"""A folder that an import or an export writes is there whole or not at all."""

from pathlib import Path

import pytest

from industryasm.fault import UserFault
from industryasm.new_folder import check_new, new_folder


@pytest.mark.parametrize("is_there", [False, True])
def test_the_folder_appears_when_the_block_ends_well(tmp_path: Path, is_there: bool) -> None:
    target = tmp_path / "deep" / "data"
    if is_there:
        target.mkdir(parents=True)
    with new_folder(target) as folder:
        (folder / "a").write_text("whole")
        assert folder.name == target.name
        assert not (target / "a").exists()
    assert (target / "a").read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_nothing_is_left_when_the_block_fails(tmp_path: Path) -> None:
    def write_half() -> None:
        with new_folder(tmp_path / "data") as folder:
            (folder / "a").write_text("half")
            raise UserFault("half way")

    with pytest.raises(UserFault, match="half way"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserFault, match="not empty"), new_folder(target):
            pytest.fail("the block must not be entered")


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserFault, match="cannot be made"), new_folder(tmp_path / "file" / "data"):
        pytest.fail("the block must not be entered")


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="cannot be made: File name too long"):
        check_new(tmp_path / ("a" * 300))


def test_what_another_wrote_there_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "data"

    def write() -> None:
        with new_folder(target) as folder:
            (folder / "a").write_text("ours")
            target.mkdir()
            (target / "a").write_text("theirs")

    with pytest.raises(UserFault, match="cannot be made: Directory not empty"):
        write()
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "a").read_text() == "theirs"


def test_an_empty_folder_that_is_mounted_gets_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "data"
    target.mkdir()
    inode = target.stat().st_ino
    monkeypatch.setattr(Path, "is_mount", lambda path: path == target)
    with new_folder(target) as folder:
        assert folder.parent.parent == target, "so that nothing is moved between file systems"
        (folder / "recordings").mkdir()
        (folder / "dataset.json").write_text("index")
    assert {path.name for path in target.iterdir()} == {"recordings", "dataset.json"}
    assert target.stat().st_ino == inode
