"""What is to be known of an answer: a sentence for people, and the code and facts that it is made of for programs."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

Fact = int | float | str


class Note(BaseModel):
    """A remark on a study's grades, or the reason why a cell has none.

    Attributes:
        code: A stable name in kebab case. Programs compare this one, never the words.
        text: The sentence, without a capital letter and a full stop.
        facts: What the sentence says, by name.
    """

    model_config = ConfigDict(frozen=True)  # a later version may say more

    code: str
    text: str
    facts: dict[str, Fact] = {}

    @classmethod
    def make(cls, code: str, template: str, **facts: Fact) -> Self:
        """Makes a note whose sentence has its facts where the template names them, as ``{count}``."""
        return cls(code=code, text=template.format(**facts), facts=facts)


_NOTES = TypeAdapter(tuple[Note, ...])


def join_notes(notes: Iterable[Note]) -> str | None:
    """The notes in one text for people; None if there are none. It cannot be taken apart again."""
    return "; ".join(note.text for note in notes) or None


def write_notes_json(notes: Iterable[Note]) -> str | None:
    """The notes for programs; None if there are none."""
    notes = tuple(notes)
    return _NOTES.dump_json(notes).decode() if notes else None


def read_notes(joined: object, as_json: object) -> list[Note]:
    """The notes of an answer.

    Args:
        joined: As :func:`join_notes` gives it.
        as_json: As :func:`write_notes_json` gives it. Older models answer without it: then the text is one note, whose
            code is "notes".
    """
    if isinstance(as_json, str):
        try:
            return list(_NOTES.validate_json(as_json))
        except ValidationError:
            pass
    return [Note(code="notes", text=joined)] if isinstance(joined, str) and joined else []
