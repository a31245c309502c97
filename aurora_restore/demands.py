"""What a request asks of the restored database beside its roles: scripts and assertions."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aurora_restore.access.declared import Name
from aurora_restore.statements import NotPlainSql, split

_EXACT = 2**53  # below, every whole number is a float of its own


class Script(BaseModel):
    """One SQL script of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(
        title="File",
        min_length=1,
        max_length=1024,
        description="Path in the folder of files, or s3://bucket/key?versionId=...",
    )
    database: Name | None = Field(
        default=None, title="Database", description="Empty: the database of the request."
    )
    timeout_seconds: int = Field(
        default=3600,
        title="Longest time (seconds)",
        ge=1,
        le=7 * 24 * 3600,
        description="For the whole script; then it is undone.",
    )


class Assertion(BaseModel):
    """A query of one row and one column: true, or a number within bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(title="Name", pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=100)
    sql: str = Field(
        title="Query",
        min_length=1,
        max_length=65536,
        repr=False,
        description="One SELECT that gives one row with one column.",
    )
    database: Name | None = Field(
        default=None, title="Database", description="Empty: the database of the request."
    )
    at_least: int | float | None = Field(
        default=None, title="At least", allow_inf_nan=False, description="For a query of a number."
    )
    at_most: int | float | None = Field(
        default=None, title="At most", allow_inf_nan=False, description="For a query of a number."
    )
    timeout_seconds: int = Field(default=300, title="Longest time (seconds)", ge=1, le=24 * 3600)

    @field_validator("at_least", "at_most")
    @classmethod
    def _one_form(cls, bound: float | None) -> int | float | None:
        # JSON that has been through a browser's form or a database says 0 for 0.0: both are the
        # same request.
        exact = isinstance(bound, float) and bound.is_integer() and abs(bound) < _EXACT
        return int(bound) if bound is not None and exact else bound

    @field_validator("sql")
    @classmethod
    def _one_query(cls, sql: str) -> str:
        if "\0" in sql:
            raise ValueError("holds a NUL character; remove it")
        try:
            statements = split(sql)
        except NotPlainSql as error:
            raise ValueError(str(error)) from None
        if len(statements) != 1:
            message = f"holds {len(statements)} statements; give one query"
            raise ValueError(message)
        return sql

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least: greater than at_most; exchange the two")
        return self

    @property
    def is_bounded(self) -> bool:
        """Whether it is about a number."""
        return self.at_least is not None or self.at_most is not None


def script_conflicts(scripts: Sequence[Script], database: str) -> list[str]:
    """Return what contradicts itself among scripts, one line a finding."""
    keys = [(each.file, each.database or database) for each in scripts]
    twice = {key for key in keys if keys.count(key) > 1}
    return [
        f"scripts: {file!r} stands twice for database {name!r}; a script runs once: remove one"
        for file, name in sorted(twice)
    ]
