"""Output for people: tables where they fit, lines where they do not; nothing is ever cut."""

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.text import Text

GAP = 2
READABLE = 30  # characters that the last column needs, or a table becomes lines


@dataclass(frozen=True)
class Row:
    """Some cells, the first of them in a colour. Only the last one may be wrapped."""

    cells: Sequence[str]
    style: str = ""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let it through: Rich would end the process with exit code 1, which means findings."""
        raise  # noqa: PLE0704 - Rich calls this where it caught the error


class Screen:
    """A stream that people read, in a terminal, a log or a pipe."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        plain = is_plain(stream, environment)
        self.console = _Console(
            file=stream,
            color_system=None if plain else "auto",
            force_terminal=False if plain else None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ=environment,
        )

    def heading(self, text: str) -> None:
        """Print a line that opens a part, after an empty one."""
        self._line("")
        self.paragraph(text, style="bold")

    def paragraph(self, text: str, *, indent: int = 0, hang: int = 0, style: str = "") -> None:
        """Print words, wrapped between words; a word too long for the line overflows it."""
        for line in self._wrapped(text, indent, hang):
            self._line(line, style)

    def verbatim(self, text: str, *, indented: bool = False) -> None:
        """Print one line as it is, to be copied, however long; `indented`: its spaces as well."""
        self._line(_printable(text) if indented else _clean(text))

    def rows(self, rows: Sequence[Row], *, readable: int = READABLE) -> None:
        """Print rows of equally many cells: aligned if there is room for it, else as lines.

        `readable`: characters that the last column needs.
        """
        if not rows:
            return
        columns = list(zip(*(map(_clean, row.cells) for row in rows), strict=True))
        widths = [max(map(len, column)) + GAP for column in columns[:-1]]
        aligned = self.console.width - sum(widths) >= readable
        for row in rows:
            *names, last = map(_clean, row.cells)
            if aligned:
                start = "".join(map(str.ljust, names, widths))
                lines = self._wrapped(last, sum(widths))
                self._line((start + lines[0].lstrip()).rstrip(), row.style, len(names[0]))
                for line in lines[1:]:
                    self._line(line)
            else:
                self.paragraph(" ".join(names[:2]), hang=4, style=row.style)
                for cell in filter(None, [*names[2:], last]):
                    self.paragraph(cell, indent=4)

    def _wrapped(self, text: str, indent: int, hang: int = 0) -> list[str]:
        return textwrap.wrap(
            _clean(text),
            max(self.console.width, indent + hang + 1),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]

    def _line(self, text: str, style: str = "", styled: int | None = None) -> None:
        """Print a line as it is; the first `styled` characters of it, or all, have the style."""
        line = Text(text)
        line.stylize(style, 0, styled)
        self.console.print(line, soft_wrap=True)


def is_plain(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether no escape sequence may be written: no terminal, a dumb one, or NO_COLOR is set."""
    return (
        not stream.isatty()
        or bool(environment.get("NO_COLOR"))
        or environment.get("TERM", "") in {"", "dumb", "unknown"}
    )


def _clean(text: str) -> str:
    """One line, without what a terminal would obey."""
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())


@contextmanager
def working(what: str, *, quiet: bool) -> Iterator[None]:
    """Say on a terminal's standard error that something takes a moment; elsewhere say nothing."""
    if quiet or is_plain(sys.stderr, os.environ):
        yield
        return
    with Console(stderr=True).status(f"{what} ..."):
        yield
