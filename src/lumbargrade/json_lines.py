"""A file of JSON lines that only grows: what was appended is on the disk, and what a killed process had begun is no line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Line = TypeVar("Line", bound=BaseModel)


class JsonLines:
    """The lines of a file; whoever may share it with other processes holds a lock of its own.

    Args:
        path: The file; its folder is made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: BaseModel) -> None:
        """Appends a line; once this returns, it is on the disk. What was begun before it becomes a line that nobody reads."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            torn = file.tell() and file.seek(-1, os.SEEK_END) is not None and file.read(1) != b"\n"
            file.write((b"\n" if torn else b"") + line.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self, kind: type[Line]) -> Iterator[Line]:
        """The lines of a kind, in their order; others are left out."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    yield kind.model_validate_json(line)
                except ValidationError:
                    continue

    def whole_lines(self) -> list[bytes]:
        """The lines that were ended, whatever they hold."""
        try:
            return self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def cut_torn(self) -> None:
        """Removes what a killed process had begun to write after the last whole line."""
        size = sum(len(line) + 1 for line in self.whole_lines())
        if self.path.is_file() and self.path.stat().st_size > size:
            with self.path.open("r+b") as file:
                file.truncate(size)
