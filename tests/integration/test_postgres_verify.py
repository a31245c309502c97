"""Roles that were set up, tried again under the cluster's new name: nothing is changed."""

from typing import Any

import pytest
from test_postgres_roles import (
    MASTER,
    as_master,
    catalogue,
    endpoint,
    name,
    run,
    secret,
    set_up,
)

from aurora_restore import roles
from aurora_restore.errors import DatabaseSetupError, NotReady
from aurora_restore.postgres import Endpoint
from aurora_restore.request import DatabaseRole
from aurora_restore.roles import Master
from aurora_restore.sessions import target_client
from sandbox import Sandbox

__all__ = ["endpoint", "name", "secret"]


def verify(where: Endpoint, *wanted: DatabaseRole, master: Master = MASTER) -> None:
    roles.verify(target_client("secretsmanager", "us-west-2"), wanted, where, master)


def test_roles_that_are_set_up_pass_and_nothing_is_changed(
    account: Sandbox, endpoint: Endpoint, secret: Any, name: str
) -> None:
    """
    The master and each role log in; the catalogue is the same before and after.
    """
    role = DatabaseRole(name=name, secret_id=secret("word"))
    set_up(endpoint, role)
    with as_master(account, endpoint) as database:
        before = catalogue(database)

        verify(endpoint, role)

        assert catalogue(database) == before


def test_master_that_cannot_log_in_is_told(endpoint: Endpoint, secret: Any) -> None:
    """
    Also without any role the endpoint is tried, by the master.
    """
    with pytest.raises(NotReady):
        verify(endpoint, master=Master("postgres", secret("wrong-word")))


def test_role_that_is_missing_is_told(endpoint: Endpoint, secret: Any, name: str) -> None:
    """
    A role that does not log in does not pass, and is not made.
    """
    with pytest.raises(NotReady):
        verify(endpoint, DatabaseRole(name=name, secret_id=secret("word")))


def test_role_that_has_lost_its_schema_is_told(
    account: Sandbox, endpoint: Endpoint, secret: Any, name: str
) -> None:
    """
    A role that logs in but may not use a schema of the request does not pass.
    """
    role = DatabaseRole(name=name, secret_id=secret("word"))
    set_up(endpoint, role)
    wanted = role.model_copy(update={"schemas": ["public", f"s{name}"]})
    with as_master(account, endpoint) as database:
        run(database, f"CREATE SCHEMA s{name}")

    with pytest.raises(DatabaseSetupError, match=f"role {name}: it may not use schema s{name}"):
        verify(endpoint, wanted)
