"""Every error says what is wrong, what to do, and has a code that programs decide by."""

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.errors import InputError, LumbargradeError, QuotingError, StoreError, system_error
from lumbargrade.viewer.errors import Refusal, problem_of

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)+|stopped")
_FIRST, _REFUSAL = 2, 3


def sources() -> list[Path]:
    return sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "flows").rglob("*.py")])


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def error_classes() -> set[str]:
    """The names of all subclasses, wherever they are defined."""
    names = {LumbargradeError.__name__}
    bases = {
        node.name: {name_of(base) for base in node.bases}
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    while more := {name for name, over in bases.items() if over & names} - names:
        names |= more
    return names - own_codes()


def own_codes() -> set[str]:
    """The names of classes that give their code themselves."""
    return {
        node.name
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for made in node.body
        if isinstance(made, ast.FunctionDef) and made.name == "__init__"
        for call in ast.walk(made)
        if isinstance(call, ast.Call) and name_of(call.func) == "__init__" and any(map(is_literal_code, call.args))
    }


def is_literal_code(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(CODE.fullmatch(node.value))


def note_codes() -> set[str]:
    """The codes of notes, which are data as those of errors are."""
    return {
        str(node.args[0].value)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and name_of(node.func) == "make" and node.args
        if isinstance(node.args[0], ast.Constant)
    }


def raise_sites() -> Iterator[tuple[str, ast.expr | None]]:
    """Where an error or a refusal is made, and the argument that is its code."""
    names = error_classes()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or name_of(node.func) not in {*names, Refusal.__name__}:
                continue
            if any(keyword.arg is None for keyword in node.keywords):
                continue  # made of the parts that another process has sent
            place = _REFUSAL if name_of(node.func) == Refusal.__name__ else _FIRST
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            yield where, node.args[place] if len(node.args) > place else None


def is_code(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and CODE.fullmatch(node.value) is not None
    if isinstance(node, ast.IfExp):
        return is_code(node.body) and is_code(node.orelse)
    return isinstance(node, ast.Attribute) and node.attr == "code"  # that of the error it stands for


def test_every_error_gives_a_code() -> None:
    sites = dict(raise_sites())
    assert len(sites) > 250
    assert [where for where, code in sites.items() if not is_code(code)] == []


def test_codes_that_are_compared_are_given_somewhere() -> None:
    given = {
        node.value
        for _, code in raise_sites()
        if code is not None
        for node in ast.walk(code)
        if isinstance(node, ast.Constant)
    }
    compared = {
        str(constant.value)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "code"
        for side in node.comparators
        for constant in ast.walk(side)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    assert compared
    assert compared <= given | note_codes()


def test_the_sentence_is_made_of_both_parts() -> None:
    error = InputError("x.csv is empty", "add rows", "table-empty")
    assert (str(error), error.what, error.remedy, error.code) == (
        "x.csv is empty; add rows", "x.csv is empty", "add rows", "table-empty",
    )  # fmt: skip
    assert str(LumbargradeError("it is broken", "", "broken")) == "it is broken"


@pytest.mark.parametrize(
    "error",
    [
        StoreError("the store is away", "bring it back", "store-not-reached"),
        QuotingError("instance 7 is not there", "", "instance-missing", "instance 7", "the point's instance"),
        UnreadableFile("1.dcm is damaged", "send it again", "file-damaged", "1.dcm"),
        NotAnImage("1.dcm is a report", "", "no-image"),
    ],
)
def test_an_error_is_the_same_in_another_process(error: LumbargradeError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert (str(other), vars(other)) == (str(error), vars(error))
    assert str(LumbargradeError(**error.parts)) == str(error)


def test_a_semicolon_in_what_is_wrong_does_not_begin_the_remedy() -> None:
    error = InputError("the table 'a; b' is empty", "add rows", "table-empty")
    problem = problem_of(error)
    assert (problem.what, problem.do, problem.code) == ("The table 'a; b' is empty.", "Add rows.", "table-empty")


def test_what_the_system_refuses_goes_on_after_it_is_mended() -> None:
    error = system_error(OSError(28, "No space left on device", "/a/b"), "fold 0")
    assert (error.what, error.code) == ("fold 0: No space left on device (/a/b)", "system-refused")
    assert str(error) == "fold 0: No space left on device (/a/b); mend this and run again: it goes on"
