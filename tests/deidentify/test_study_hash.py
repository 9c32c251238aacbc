"""The salt is made once, whoever asks first and whatever the disk can do."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lumbargrade.deidentify.study_hash import SALT, StudyHasher


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_links_has_a_salt(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    hashed = StudyHasher(tmp_path / "served")("1.2.3")
    assert StudyHasher(tmp_path / "served")("1.2.3") == hashed != StudyHasher(tmp_path / "other")("1.2.3")
    assert (tmp_path / "served" / SALT).stat().st_mode & 0o077 == 0


def test_who_asks_at_once_has_the_same_salt(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda _: StudyHasher(tmp_path)("1.2.3"), range(8)))
    assert len(set(hashes)) == 1
