"""Nothing decides by an English sentence: not by its semicolon, and not by words in it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CUTS = {"partition", "rpartition", "split", "rsplit", "removesuffix", "removeprefix", "startswith", "endswith"}
SENTENCES = {"reason", "what", "remedy", "text", "sentence", "words", "problem", "notes", "message"}
"""Attributes that hold sentences."""

OF_OTHERS = {"src/lumbargrade/failures.py", "src/lumbargrade/tracking/mlflow_tracker.py"}
"""These read what libraries say, which have no codes."""


def is_sentence(node: ast.expr) -> bool:
    """Whether it is the text of an error, or an attribute or item that holds one."""
    if isinstance(node, ast.Call):
        return (
            isinstance(node.func, ast.Name) and node.func.id == "str" and len(node.args) == 1 and is_error(node.args[0])
        )
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value in SENTENCES
    return isinstance(node, ast.Attribute) and node.attr in SENTENCES


def is_error(node: ast.expr) -> bool:
    return is_sentence(node) or (isinstance(node, ast.Name) and node.id in {"error", "exception", "caught", "refusal"})


def literals(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def has_words(text: str) -> bool:
    return any(letter.isalpha() for letter in text)


def faults(tree: ast.AST) -> Iterator[int]:
    """Lines that take a sentence apart, or look for words in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CUTS:
            texts = [text for argument in node.args for text in literals(argument)]
            if any("; " in text for text in texts) or (any(map(has_words, texts)) and is_sentence(node.func.value)):
                yield node.lineno
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            contains = any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops)
            looks_inside = contains and any(map(is_sentence, sides[1:])) and any(literals(sides[0]))
            compares = any(map(is_sentence, sides)) and any(" " in text for side in sides for text in literals(side))
            if looks_inside or compares:
                yield node.lineno


def test_no_program_reads_a_sentence() -> None:
    found = []
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]):
        name = str(path.relative_to(ROOT))
        if name not in OF_OTHERS:
            found += [f"{name}:{line}" for line in faults(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'what, _, do = str(error).partition("; ")',
        'notes = text.split("; ")',
        'told = words.removesuffix("; send it again")',
        'if "the study" in cell.reason: pass',
        'if "burned into" in str(error): pass',
        'if "late" not in record["reason"]: pass',
        'if line.reason.startswith("points.csv"): pass',
        'if error.what == "it is late": pass',
    ],
)
def test_a_program_that_does_is_found(code: str) -> None:
    assert list(faults(ast.parse(code))) == [1]


@pytest.mark.parametrize("code", ['error.code == "late"', '"; ".join(notes)', 'name.split(";")', "str(error) in seen"])
def test_others_are_let_be(code: str) -> None:
    assert not list(faults(ast.parse(code)))
