"""What will be done in the database: secrets, roles and the files that are named."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aurora_restore.access.declared import DatabaseRole, conflicts
from aurora_restore.preflight.check import Check, failed, found, ok
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.reading import Answer, Unknown


def secrets(facts: Facts) -> list[Check]:
    """Each password can be read and is in the shape it must have."""
    said = _each("secrets", facts.secrets, str)
    return said or [ok("secrets", "secrets", "none is needed")]


def role_file(facts: Facts) -> list[Check]:
    """The role file can be read, and declares roles."""
    if facts.role_file is None:
        return [ok("role-file", "roles_file", "none is named")]
    roles = facts.role_file.get()
    count = f"{len(roles)} role{'s' if len(roles) != 1 else ''}"
    return [ok("role-file", f"roles_file {facts.request.roles_file}", f"it declares {count}")]


def roles(facts: Facts) -> list[Check]:
    """The roles do not contradict each other, can log in, and none is the cluster's master.

    (Reserved names are refused by the request itself.)
    """
    declared = facts.roles
    if not declared:
        return [ok("roles", "roles", "none is wanted")]
    checks = [
        failed("roles", "roles", problem.removeprefix("roles: "), "Correct the roles.")
        for problem in conflicts(declared, facts.request.database)
    ]
    tokens = [role.name for role in declared if role.iam]
    if tokens and not facts.draft.need("iam_authentication").iam_authentication:
        checks.append(
            failed(
                "roles",
                f"role {tokens[0]}",
                "it logs in with IAM, which the new cluster will not allow",
                "Set iam_authentication to true, or give the role a secret_id.",
            )
        )
    checks += _shut_out(declared, datetime.now(UTC) + facts.settings.longest_refresh)
    master = facts.snapshot.get().master_username
    checks += [
        failed(
            "roles",
            f"role {role.name}",
            "this is the cluster's master user",
            "Use master_secret_id for its password, and another name for the role.",
        )
        for role in declared
        if role.name == master
    ]
    return checks or [ok("roles", "roles", f"{len(declared)}, none of them the master user")]


def _shut_out(declared: Sequence[DatabaseRole], ended: datetime) -> list[Check]:
    """Return which logins PostgreSQL would refuse; `ended` is when the refresh is over at last."""
    checks = []
    for role in declared:
        # An IAM token is no password: it has a time of its own.
        until = role.valid_until if role.secret_id is not None else None
        if until is not None and until < ended:
            checks.append(
                failed(
                    "roles",
                    f"role {role.name}",
                    f"its password is valid until {until:%Y-%m-%d %H:%M %Z}, and the refresh may "
                    f"last until {ended:%Y-%m-%d %H:%M %Z}",
                    "Set valid_until to a later moment, or leave it out.",
                )
            )
        if role.logs_in and role.connection_limit == 0:
            checks.append(
                failed(
                    "roles",
                    f"role {role.name}",
                    "it logs in, and its connection limit of 0 lets no session in",
                    "Set connection_limit to 1 or more, or leave it out.",
                )
            )
    return checks


def scripts(facts: Facts) -> list[Check]:
    """Each script can be read, and can be run in one transaction."""
    said = _each("scripts", facts.scripts, lambda file: f"SHA-256 {file.sha256[:12]}...")
    return said or [ok("scripts", "scripts", "none is named")]


def _each(name: str, answers: Mapping[str, Answer[Any]], say: Callable[[Any], str]) -> list[Check]:
    checks = []
    for resource, answer in answers.items():
        try:
            checks.append(ok(name, resource, say(answer.get())))
        except Unknown as unknown:
            if unknown.owner != name:
                raise
            checks += found(name, [unknown.error])
    return checks
