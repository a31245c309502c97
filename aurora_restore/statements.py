"""SQL text cut into its statements, by PostgreSQL's own rules of what a token is.

Nothing here knows SQL's grammar: what it does not know, a server of any version may.
Source: PostgreSQL, Lexical Structure; psql's rules of where a statement ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_SPACE = r"[ \t\n\r\f\v]"
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
    rf"""
    (?P<space>{_SPACE}+|--[^\n\r]*)
    |(?P<comment>/\*)
    |(?P<dollar>\$(?:[{_LETTER}][0-9{_LETTER}]*)?\$)
    |(?P<escaped>[eE]')
    |(?P<string>')
    |(?P<quoted>")
    |(?P<word>[{_LETTER}][$0-9{_LETTER}]*)
    |(?P<number>\$[0-9]+|[0-9][0-9A-Za-z_]*)
    |(?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_REST = {
    "escaped": re.compile(r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*'", re.DOTALL),
    "string": re.compile(r"[^']*(?:''[^']*)*'"),
    "quoted": re.compile(r'[^"]*(?:""[^"]*)*"'),
}
# A string goes on after a line break, in the manner of its first part.
_GOES_ON = re.compile(rf"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:{_SPACE}|--[^\n\r]*[\n\r])*'")
_COMMENT = re.compile(r"/\*|\*/")
_ROUTINES = {"FUNCTION", "PROCEDURE"}
_TRANSACTION = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
_CLIENT = {("FROM", "STDIN"), ("TO", "STDOUT")}


class NotPlainSql(ValueError):
    """The text cannot be run statement by statement: in which line, why, what to do."""

    def __init__(self, line: int, problem: str, remedy: str) -> None:
        self.line, self.problem, self.remedy = line, problem, remedy
        super().__init__(f"line {line}: {problem}; {remedy}")


@dataclass
class Statement:
    """One statement: its text, the line of its first token, its words outside of parentheses.

    The words are in upper case; quoted names are none.
    """

    line: int
    text: str = field(default="", repr=False)
    words: list[str] = field(default_factory=list, repr=False)
    _depth: int = 0
    _blocks: int = 0  # BEGIN ATOMIC ... END of an SQL routine, and CASE ... END in it

    def line_of(self, position: int) -> int:
        """Return the line of a character, counted from 1 as PostgreSQL does."""
        return self.line + _breaks(self.text[: max(position - 1, 0)])

    def take(self, kind: str, piece: str) -> bool:
        """Take the next piece in; return whether it ends the statement."""
        if kind == "word":
            self._take_word(piece.upper())
        elif piece == "(":
            self._depth += 1
        elif piece == ")":
            self._depth -= 1
        return piece == ";" and self._depth <= 0 and not self._blocks

    def _take_word(self, word: str) -> None:
        if self._blocks:
            self._blocks += (word == "CASE") - (word == "END")
        elif word == "ATOMIC" and self.words[-1:] == ["BEGIN"] and self._is_routine:
            self._blocks = 1
        if self._depth <= 0:
            self.words.append(word)

    @property
    def _is_routine(self) -> bool:
        return self.words[0] == "CREATE" and not _ROUTINES.isdisjoint(self.words[1:4])


def split(text: str) -> list[Statement]:
    """Return the statements of a text, in order.

    Raises:
        NotPlainSql: a quotation or comment does not end, or there is what only psql understands, or
            a statement that begins or ends a transaction, or copies from or to the client.
    """
    found: list[Statement] = []
    line = 1
    current, start = None, 0
    for kind, begin, end in _tokens(text):
        piece = text[begin:end]
        if kind not in {"space", "comment"}:
            if piece == "\\":
                raise NotPlainSql(
                    line,
                    "a backslash outside of quotes, as in commands of psql (\\i, \\copy)",
                    "write plain SQL",
                )
            if current is None and piece != ";":
                current, start = Statement(line), begin
            if current is not None and current.take(kind, piece):
                current.text = text[start:begin]
                found.append(current)
                current = None
        line += _breaks(piece)
    if current is not None:
        current.text = text[start:].rstrip()
        found.append(current)
    for each in found:
        _require_permitted(each)
    return found


def _require_permitted(statement: Statement) -> None:
    words = statement.words
    first, second = (*words[:2], "", "")[:2]
    if first in _TRANSACTION or (first, second) == ("PREPARE", "TRANSACTION"):
        raise NotPlainSql(
            statement.line,
            f"{first} begins or ends a transaction, but this runs in one of its own",
            "remove it",
        )
    if first == "COPY" and not _CLIENT.isdisjoint(pairwise(words)):
        raise NotPlainSql(
            statement.line, "COPY from or to the client, which has no data", "use INSERT"
        )


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Give each token: its kind, where it begins, where it ends."""
    begin = 0
    while match := _TOKEN.match(text, begin):
        kind, end = str(match.lastgroup), match.end()
        if kind == "comment":
            end = _end_of_comment(text, end)
        elif kind == "dollar":
            closing = text.find(match[0], end)
            end = closing + len(match[0]) if closing >= 0 else -1
        elif kind in _REST:
            end = _end_of_quotation(text, kind, end)
        if end < 0:
            line, what = 1 + _breaks(text[:begin]), "comment" if kind == "comment" else "quotation"
            raise NotPlainSql(line, f"the {what} that begins here has no end", "close it")
        yield kind, begin, end
        begin = end


def _end_of_comment(text: str, begin: int) -> int:
    """Return where a comment ends, with those in it; -1 if it does not."""
    depth = 1
    for mark in _COMMENT.finditer(text, begin):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return -1


def _end_of_quotation(text: str, kind: str, begin: int) -> int:
    """Return where a string or quoted name ends; -1 if it does not."""
    while match := _REST[kind].match(text, begin):
        further = _GOES_ON.match(text, match.end()) if kind == "escaped" else None
        if further is None:
            return match.end()
        begin = further.end()
    return -1


def _breaks(text: str) -> int:
    return text.count("\n")
