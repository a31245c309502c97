"""One line of what was looked at before a refresh, and what came of it."""

from typing import Literal

from pydantic import BaseModel

from aurora_restore.errors import RestoreError

Status = Literal["ok", "failed", "unchecked"]


class Check(BaseModel, frozen=True):
    """What was looked at: in order, in the way of the refresh, or not to be known.

    `problem` is one short fact where all is well. `remedy` is what to do; of what is unchecked,
    what must be in order first, or what AWS does not let us know.
    """

    name: str
    status: Status
    resource: str
    problem: str = ""
    remedy: str = ""


def ok(name: str, resource: str, fact: str = "") -> Check:
    """Return that all is well."""
    return Check(name=name, status="ok", resource=resource, problem=fact)


def failed(name: str, resource: str, problem: str, remedy: str) -> Check:
    """Return that the refresh would fail, and what to do about it."""
    return Check(name=name, status="failed", resource=resource, problem=problem, remedy=remedy)


def unchecked(name: str, resource: str, problem: str, remedy: str = "") -> Check:
    """Return that it cannot be known beforehand."""
    return Check(name=name, status="unchecked", resource=resource, problem=problem, remedy=remedy)


def found(name: str, errors: "list[RestoreError]") -> list[Check]:
    """Return one failed check for each error."""
    return [failed(name, each.resource, each.problem, each.advice) for each in errors]
