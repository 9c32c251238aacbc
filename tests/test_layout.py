"""Where tests lie, and what they may import."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src/lumbargrade"
OTHER_ROOMS = {"flows", "real_world"}
"""Beside the package's: what tests flows, and what tests all ways into the product at once."""
MODULES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))


def read_imports(module: Path) -> Iterator[str]:
    """The dotted names that a module imports, those of other tests in full."""
    package = ["tests", *module.parent.parts]
    for node in ast.walk(ast.parse((TESTS / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)


def find_imported_test_module(name: str) -> Path | None:
    """The module of these tests that a dotted name is."""
    first, *parts = name.split(".")
    path = Path(*parts).with_suffix(".py") if first == "tests" and parts else None
    return path if path in MODULES else None


def test_folders_of_tests_are_folders_of_the_package() -> None:
    rooms = {path.parent for path in MODULES if path.name.startswith("test_")} - {Path()}
    assert not [str(room) for room in rooms if room.parts[0] not in OTHER_ROOMS and not (PACKAGE / room).is_dir()]


def test_only_what_is_made_for_it_is_imported_from_other_tests() -> None:
    """From the same folder or one above it, and neither tests nor another folder's fixtures; of benchmarks nothing."""
    wrong = [f"{module}: {name}" for module in MODULES for name in read_imports(module) if not may_import(module, name)]
    assert not wrong


def may_import(module: Path, name: str) -> bool:
    imported = find_imported_test_module(name)
    if imported is None:
        return name.split(".")[0] != "benchmarks"
    near = imported.parent == module.parent or (imported.parent in module.parents and imported.name != "conftest.py")
    return near and not imported.name.startswith("test_")
