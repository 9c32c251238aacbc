"""The key of pseudonyms is made once, for its owner only, and never replaced in silence."""

import stat
from pathlib import Path

import pytest

from lumbargrade.deidentify.key import PSEUDONYM_KEY, open_pseudonym_key
from lumbargrade.errors import InputError


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = open_pseudonym_key(tmp_path / "keys")
    assert len(key) == 32
    assert open_pseudonym_key(tmp_path / "keys") == key
    assert stat.S_IMODE((tmp_path / "keys" / PSEUDONYM_KEY).stat().st_mode) == 0o600
    assert open_pseudonym_key(tmp_path / "others") != key


def test_a_file_that_is_no_key_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / PSEUDONYM_KEY).write_text("not a key")
    with pytest.raises(InputError, match="is no key of 32 bytes in hexadecimal; put back the one that was there"):
        open_pseudonym_key(tmp_path)
    assert (tmp_path / PSEUDONYM_KEY).read_text() == "not a key"
