"""A note has a sentence, and what it is made of; several in one answer stay apart."""

import json

import pytest
from pydantic import ValidationError

from lumbargrade.notes import Note, join_notes, read_notes, write_notes_json

SPLIT = Note.make("levels-not-seen", "{levels} cannot be seen; the images may end there", levels="L5/S1")
PLAIN = Note.make("files-unreadable", "{count} files{origin} could not be read", count=2, origin=" of {braces}")


def test_the_sentence_is_made_of_the_facts() -> None:
    assert SPLIT.text == "L5/S1 cannot be seen; the images may end there"
    assert PLAIN.text == "2 files of {braces} could not be read"
    assert PLAIN.facts == {"count": 2, "origin": " of {braces}"}
    with pytest.raises(ValidationError):
        PLAIN.code = "another"  # type: ignore[misc]


def test_a_semicolon_in_a_note_makes_no_two_of_it() -> None:
    joined, as_json = join_notes([SPLIT, PLAIN]), write_notes_json([SPLIT, PLAIN])
    assert joined == f"{SPLIT.text}; {PLAIN.text}"
    assert read_notes(joined, as_json) == [SPLIT, PLAIN]
    assert as_json is not None
    assert json.loads(as_json)[0] == {"code": SPLIT.code, "text": SPLIT.text, "facts": {"levels": "L5/S1"}}


@pytest.mark.parametrize("as_json", [None, float("nan"), "no JSON", "[1]"])
def test_without_the_column_the_text_is_one_note(as_json: object) -> None:
    assert read_notes("a; b", as_json) == [Note(code="notes", text="a; b")]
    assert read_notes(None, as_json) == []


def test_nothing_to_say_is_nothing() -> None:
    assert (join_notes([]), write_notes_json([])) == (None, None)


def test_a_later_version_may_say_more() -> None:
    assert read_notes("x", '[{"code": "a", "text": "b", "facts": {}, "since": 2}]') == [Note(code="a", text="b")]
