"""The independent judge of policies: npm's @cloud-copilot/iam-simulate, for development only."""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from tests.infra.programs import node_packages

HERE = Path(__file__).resolve().parent / "node"

Allowed = "Allowed"

# The simulator passes over `aud` and `sub` of a provider, which the reference does not list: they
# go by the names of two claims that it lists.
_HOST = "token.actions.githubusercontent.com"
_CLAIMS = {f"{_HOST}:aud": f"{_HOST}:actor", f"{_HOST}:sub": f"{_HOST}:job_workflow_ref"}


@dataclass(frozen=True)
class Document:
    """A policy: of an identity, its permissions boundary, or of a resource."""

    kind: Literal["identity", "boundary", "resource"]
    policy: Mapping[str, Any]

    @property
    def statements(self) -> list[str]:
        """The names of its statements."""
        return [
            each.get("Sid", f"statement {number}")
            for number, each in enumerate(self.policy["Statement"])
        ]

    @property
    def shortened(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Each statement without one entry of a list, of resources or of a condition's values.

        Gives its number, the entry's name, and what is left of it.
        """
        for number, name in enumerate(self.statements):
            statement = self.policy["Statement"][number]
            paths = [("Resource",)] + [
                ("Condition", test, key)
                for test, keys in statement.get("Condition", {}).items()
                for key in keys
            ]
            for path in paths:
                found = reduce(lambda at, step: at.get(step, []), path, statement)
                for entry in found if isinstance(found, list) and len(found) > 1 else []:
                    rest = copy.deepcopy(statement)
                    holder = reduce(lambda at, step: at[step], path[:-1], rest)
                    holder[path[-1]] = [each for each in found if each != entry]
                    yield number, f"{name}: {entry}", rest


@dataclass(frozen=True)
class Question:
    """May `principal` do this? `documents` are the names of the policies that decide."""

    principal: str
    action: str
    resource: str
    account: str
    documents: tuple[str, ...]
    context: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        context = ", ".join(f"{name}={value}" for name, value in sorted(self.context.items()))
        return f"{self.principal.split(':')[-1]}: {self.action} on {self.resource} ({context})"


@dataclass(frozen=True)
class Verdict:
    """The answer to each question; of each statement and entry the question that needs it."""

    answers: list[str]
    needed: dict[tuple[str, str], Question | None]
    entries: dict[tuple[str, str], Question | None]


def judge(
    documents: Mapping[str, Document],
    questions: Sequence[Question],
    removed_from: Sequence[str] = (),
) -> Verdict:
    """Return whether each question is allowed, and what each statement of `removed_from` is for.

    A statement is needed if without it one of the questions is no longer allowed.
    """
    folder = node_packages(HERE, ".iam-simulate")
    program = (HERE / "judge.mjs").read_text()
    removals = [
        (name, number, None)
        for name in removed_from
        for number in range(len(documents[name].statements))
    ]
    entries = [
        (name, entry, number, rest)
        for name in removed_from
        for number, entry, rest in documents[name].shortened
    ]
    asked = {
        "documents": {
            name: {"kind": each.kind, "policy": each.policy} for name, each in documents.items()
        },
        "questions": [
            {
                "principal": each.principal,
                "action": each.action,
                "resource": each.resource,
                "account": each.account,
                "context": dict(each.context),
                "documents": each.documents,
            }
            for each in questions
        ],
        "removals": [*removals, *((name, number, rest) for name, _, number, rest in entries)],
    }
    text = json.dumps(asked)
    for claim, listed in _CLAIMS.items():
        text = text.replace(claim, listed)
    done = subprocess.run(  # noqa: S603
        # As a text, so that Node.js looks for the package where it was installed.
        [str(shutil.which("node")), "--input-type=module", "--eval", program],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    answer = json.loads(done.stdout)
    by = [questions[index] if index >= 0 else None for index in answer["needed"]]
    return Verdict(
        answer["answers"],
        {
            (name, documents[name].statements[number]): question
            for (name, number, _), question in zip(removals, by, strict=False)
        },
        {
            (name, entry): question
            for (name, entry, *_), question in zip(entries, by[len(removals) :], strict=True)
        },
    )
