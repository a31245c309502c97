"""What the hand-over of a database has shown: kept in the records."""

from typing import Literal

from pydantic import BaseModel


class ScriptRun(BaseModel, frozen=True):
    """A script that has been run: its text (SHA-256), rows affected in total, how long it took.

    `is_earlier`: an earlier run of the operation has done it.
    """

    name: str
    database: str
    sha256: str
    rows: int
    seconds: float
    is_earlier: bool


class Held(BaseModel, frozen=True):
    """An assertion that held: what the query gave ("true" or a number), in what time."""

    name: str
    value: str
    seconds: float


class Tried(BaseModel, frozen=True):
    """A login that was tried: how it got in, what it did, and what it was refused."""

    role: str
    by: Literal["password", "IAM token"]
    allowed: list[str]
    refused: list[str]


class Database(BaseModel, frozen=True):
    """A database and its size in bytes."""

    name: str
    bytes: int
