"""A digest of the code that can change a result: what trained under other code is never taken for this code's.

The digest covers a module and all that it imports from this package, as syntax trees. Comments, docstrings and the texts
of errors, notes and log lines are left out, since they cannot change a number.

What covers what: DVC makes crops and views anew when the code of ``preprocessing``, ``dicom`` or ``data`` changes, and
their hashes are part of a search's name. The digest covers the code that turns crops into weights. Both cover
``preprocessing``, because the training reads packed crops with its code; such a change makes a search stale once.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lumbargrade

PACKAGE = Path(lumbargrade.__file__).parent
"""The folder of this package's code."""

TRAINING = "lumbargrade.training.worker"
"""The process that trains a fold; what it imports decides what the weights become."""
PHANTOM = "lumbargrade.phantom.generate"

_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "warn"}


def code_digest(*modules: str) -> str:
    """Returns the digest of some modules and of all that they import from this package.

    Args:
        modules: Dotted names.
    """
    return _digest(PACKAGE, modules)


def import_closure(package: Path, modules: tuple[str, ...]) -> dict[str, Path]:
    """Returns the files of some modules and of all that they import from the package, by dotted name.

    Imports inside functions count; imports for type checking alone do not.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _module_path(package, name)
        if path is None or name in found or name == package.name:  # the root holds the version alone
            continue
        found[name] = path
        waiting += _imports(ast.parse(path.read_text(encoding="utf-8")), package.name)
        waiting.append(name.rpartition(".")[0])  # a package runs before its modules
    return found


@cache
def _digest(package: Path, modules: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(import_closure(package, modules).items()):
        tree = _WithoutTexts().visit(ast.parse(path.read_text(encoding="utf-8")))
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()


def _module_path(package: Path, name: str) -> Path | None:
    base = package.parent.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(tree: ast.AST, root: str) -> Iterator[str]:
    """The modules of the package that a tree imports; a name may be a module or something in one."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == root:
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name.split(".")[0] == root)
        else:
            yield from _imports(child, root)


class _WithoutTexts(ast.NodeTransformer):
    """Empties what is only there to be read: docstrings, and the texts of errors, notes, assertions and log lines."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        logged = isinstance(node.value, ast.Call) and _is_log(node.value.func)
        return None if text or logged else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return _without_strings(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """An error may be made in one place and raised in another."""
        return _without_strings(node) if _makes_text(node.func) else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)


def _is_log(function: ast.expr) -> bool:
    """Whether a function is a method of a logger, which is called ``log`` or the like everywhere in this package."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _LOG_METHODS
        and isinstance(function.value, ast.Name)
        and "log" in function.value.id.lower()
    )


def _makes_text(function: ast.expr) -> bool:
    """Whether a call makes an error, or a note on an answer."""
    name = ast.unparse(function)
    return name.endswith("Error") or name in ("Note", "Note.make")


def _without_strings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            texts = [isinstance(one, ast.JoinedStr) or _is_text(one) for one in values]
            if any(texts):
                kept = [ast.Constant("") if text else one for one, text in zip(values, texts, strict=True)]
                setattr(node, name, kept if isinstance(value, list) else kept[0])
    return tree


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
