import resource
import shutil
from pathlib import Path

import pytest

from lumbargrade.errors import system_error
from lumbargrade.files import (
    exchange_folder,
    recover_folder,
    replaced_file,
    replaced_folder,
    write_bytes,
    write_secret,
    write_text,
)


def test_a_file_keeps_its_old_bytes_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="full"), replaced_file(path) as temporary:
        temporary.write_text("ne")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_the_system_takes_no_more_bytes_for_is_named(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError) as caught:
            write_bytes(tmp_path / "model.bin", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(system_error(caught.value)) == (
        f"File too large ({tmp_path / 'model.bin'}); mend this and run again: it goes on"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    for name in ("one", "two"):
        with replaced_folder(folder) as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in folder.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replaced_folder(tmp_path / "crops") as temporary:
        (temporary / "half").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_folders_change_places(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / folder.name).touch()
    exchange_folder(new, old)
    assert [path.name for path in old.iterdir()] == ["new"]
    assert [path.name for path in new.iterdir()] == ["old"]
    shutil.rmtree(old)
    exchange_folder(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_left_aside_by_a_killed_exchange_comes_back(tmp_path: Path) -> None:
    path, new = tmp_path / "data", tmp_path / ".data-new"
    (tmp_path / ".data-new.old").mkdir()
    recover_folder(new, path)
    assert [found.name for found in tmp_path.iterdir()] == ["data"]
    (tmp_path / ".data-new.old").mkdir()
    recover_folder(new, path)
    assert [found.name for found in tmp_path.iterdir()] == ["data"]


def test_a_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"secret")
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
