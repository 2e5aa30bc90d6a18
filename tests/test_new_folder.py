"""A folder that an import or an export writes is there whole or not at all."""

from pathlib import Path

import pytest

from industryasm.fault import UserFault
from industryasm.new_folder import new_folder


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
