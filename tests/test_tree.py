"""Everything in a folder is found, through links too; what cannot be read is named."""

import errno
import os
from pathlib import Path

import pytest

from lumbargrade import tree
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import folder_sha256
from lumbargrade.tree import (
    check_whole,
    file_sizes,
    files_below,
    has_linked_folders,
    link_tree,
    read_tree,
    shown_name,
    walk_tree,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "1/2").mkdir(parents=True)
    (made / "1/2/a").write_text("aa")
    (made / ".hidden").write_text("h")
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    made = tmp_path / "elsewhere"
    (made / "3").mkdir(parents=True)
    (made / "3/b").write_text("bbb")
    return made


def test_files_behind_links_and_hidden_files_are_found(folder: Path, elsewhere: Path) -> None:
    (folder / "link").symlink_to(elsewhere)
    (folder / "1/file").symlink_to(elsewhere / "3/b")
    found = {Path(".hidden"): 1, Path("1/2/a"): 2, Path("1/file"): 3, Path("link/3/b"): 3}
    assert file_sizes(folder) == found
    assert files_below(folder) == sorted(folder / path for path in found)
    assert has_linked_folders(folder)


def test_a_folder_that_is_a_link_itself_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert set(file_sizes(tmp_path / "link")) == {Path(".hidden"), Path("1/2/a")}
    assert has_linked_folders(tmp_path / "link")
    assert not has_linked_folders(folder)


def test_links_in_a_circle_end_and_are_named(folder: Path) -> None:
    (folder / "1/again").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    problems = {entry.path.name: entry.problem for entry in walk_tree(folder) if entry.problem}
    assert problems["again"] == "is a link to a folder that it lies in"
    assert "cannot be read" in problems["self"]
    with pytest.raises(InputError, match=r"is a link to a folder that it lies in \(and 1 more"):
        read_tree(folder)
    assert files_below(folder) == [folder / ".hidden", folder / "1/2/a"]


def test_a_link_that_leads_nowhere_is_named(folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")
    with pytest.raises(InputError, match="gone is a link that leads nowhere"):
        link_tree(folder, folder.with_name("new"))
    assert not folder.with_name("new").exists()


def test_a_pipe_is_named_and_never_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="pipe is neither a file nor a folder"):
        read_tree(folder)


def test_a_folder_without_permission_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, original=Path.iterdir):  # root may read everything, so that modes alone test nothing
        if path.name == "2":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"1/2 cannot be read \(Permission denied\)"):
        link_tree(folder, folder.with_name("new"))


def test_linked_folders_become_folders_of_links_and_the_other_place_stays_as_it_is(
    folder: Path, elsewhere: Path
) -> None:
    (folder / "link").symlink_to(elsewhere)
    (folder / "1/file").symlink_to("../1/2/a")
    new = folder.with_name("new")
    link_tree(folder, new)
    assert file_sizes(new) == file_sizes(folder)
    assert not has_linked_folders(new)
    assert (new / "link/3/b").readlink() == elsewhere / "3/b"
    assert (new / "1/file").readlink() == Path("../1/2/a")
    assert (new / "1/2/a").samefile(folder / "1/2/a")
    assert (elsewhere / "3/b").stat().st_nlink == 1


def test_where_links_are_refused_files_are_copied(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link").symlink_to(elsewhere)

    def refuse(*told: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    link_tree(folder, folder.with_name("new"))
    assert file_sizes(folder.with_name("new")) == file_sizes(folder)
    assert not folder.with_name("new").joinpath("1/2/a").samefile(folder / "1/2/a")


def test_a_file_is_never_written_into_one_that_is_there(folder: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    link_tree(folder, new)
    other = tmp_path / "other"
    (other / "1/2").mkdir(parents=True)
    (other / "1/2/a").write_text("other")
    with pytest.raises(LumbargradeError, match="two files want to be"):
        link_tree(other, new)
    assert (folder / "1/2/a").read_text() == "aa"


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("a")])
def test_a_missing_and_a_shortened_file_are_noticed(folder: Path, harm) -> None:
    wanted = file_sizes(folder)
    check_whole(folder, wanted)
    harm(folder / "1/2/a")
    with pytest.raises(LumbargradeError, match="1/2/a"):
        check_whole(folder, wanted)


def test_a_hash_of_a_folder_counts_what_lies_behind_a_link(folder: Path, elsewhere: Path) -> None:
    (folder / "link").symlink_to(elsewhere)
    before = folder_sha256(folder)
    (elsewhere / "3/b").write_text("other")
    assert folder_sha256(folder) != before


def test_nothing_of_a_link_is_removed_but_the_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    tree.remove_tree(tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert (folder / "1/2/a").is_file()


def test_a_name_that_is_no_text_can_be_written_down() -> None:
    assert shown_name(Path(os.fsdecode(b"M\xfcller/\xc3\xbc"))) == "M\\xfcller/ü"
