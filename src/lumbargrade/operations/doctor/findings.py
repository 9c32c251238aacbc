"""What an examination finds, for people and for programs."""

import textwrap
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lumbargrade.errors import LumbargradeError

State = Literal["problem", "note", "ok"]
_ORDER: tuple[State, ...] = ("problem", "note", "ok")
_WIDTH, _INDENT = 79, 9


class Finding(BaseModel):
    """One thing that was looked at.

    Attributes:
        code: A stable name in kebab case; programs compare this one.
        state: ``problem`` stops something, ``note`` is to be known, ``ok`` is as it should be.
        what: A sentence, without a full stop.
        remedy: What to do about it; empty if there is nothing to do.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    state: State
    what: str
    remedy: str = ""

    @classmethod
    def problem(cls, code: str, what: str, remedy: str) -> "Finding":
        """What stops a run, a server or a part of them."""
        return cls(code=code, state="problem", what=what, remedy=remedy)

    @classmethod
    def of(cls, error: LumbargradeError) -> "Finding":
        """A problem that was raised."""
        return cls.problem(error.code, error.what, error.remedy)

    @classmethod
    def note(cls, code: str, what: str, remedy: str = "") -> "Finding":
        """What works, but otherwise than somebody may think."""
        return cls(code=code, state="note", what=what, remedy=remedy)

    @classmethod
    def ok(cls, code: str, what: str) -> "Finding":
        """What is as it should be."""
        return cls(code=code, state="ok", what=what)


class Examination(BaseModel):
    """All that was found."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.state == "problem" for finding in self.findings)

    def lines(self) -> Iterator[str]:
        """The findings for people, at most 79 letters a line but for names that are longer: problems first."""
        for state in _ORDER:
            for finding in self.findings:
                if finding.state == state:
                    code = "" if state == "ok" else f" ({finding.code})"
                    yield from _wrap(f"{state:<{_INDENT}}", finding.what + code)
                    if finding.remedy:
                        yield from _wrap(" " * _INDENT + "→ ", finding.remedy)
        yield ""
        counts = {state: sum(finding.state == state for finding in self.findings) for state in _ORDER}
        yield f"{_many(counts['problem'], 'problem')}, {_many(counts['note'], 'note')}, {counts['ok']} as they should be"


def _wrap(first: str, text: str) -> list[str]:
    plain = " ".join(text.split())
    indent = " " * len(first)
    return textwrap.wrap(
        f"{plain[:1].upper() + plain[1:] if plain.split(' ')[0].isalpha() else plain}.",
        _WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
