"""Secrets that are made where there is none: once, whoever asks how often."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from aurora_restore.errors import Refused
from aurora_restore.secrets import NewSecret, Password, ensure_password, read_password
from aurora_restore.sessions import target_client
from sandbox import Sandbox
from sandbox.faults import Fault

WHERE = {"host": "staging.example.com", "port": 5432, "dbname": "app"}


@pytest.fixture
def name() -> str:
    return f"test/{uuid4()}"


def ensure(secret_id: str, operation_id: str = "op-1") -> Password:
    new = NewSecret(operation_id, "app", WHERE, {"aurora-restore:managed": "true"})
    client = target_client("secretsmanager", "us-west-2")
    return ensure_password(client, secret_id, "roles.0.secret_id", new)


def kept(account: Sandbox, secret_id: str) -> dict[str, Any]:
    answer = account.client("secretsmanager").get_secret_value(SecretId=secret_id)
    return dict(json.loads(answer["SecretString"]))


def test_missing_secret_is_made_in_the_shape_of_rds(account: Sandbox, name: str) -> None:
    """
    The new secret holds user, place and a password of 40 letters and digits, and is tagged.
    """
    made = ensure(name)

    content = kept(account, name)
    password = content.pop("password")
    assert content == {"engine": "postgres", "username": "app", **WHERE}
    assert password == made.value.get_secret_value()
    assert len(password) == 40
    assert password.isalnum()
    described = account.client("secretsmanager").describe_secret(SecretId=name)
    assert described["Tags"] == [{"Key": "aurora-restore:managed", "Value": "true"}]
    assert list(described["VersionIdsToStages"]) == [made.version]


def test_secret_that_is_there_is_only_read(account: Sandbox, name: str) -> None:
    """
    A repeat, and another operation, find the first one's password.
    """
    client = account.client("secretsmanager")
    client.create_secret(Name=name, SecretString="S3cret")

    found = ensure(name)

    assert found.value.get_secret_value() == "S3cret"
    assert client.get_secret_value(SecretId=name)["SecretString"] == "S3cret"
    assert ensure(name, "op-2") == found


def test_runs_at_once_make_one_secret(account: Sandbox, name: str) -> None:
    """
    Whoever comes second in the same moment takes the first one's password.
    """
    together = threading.Barrier(4)

    def run(number: int) -> Password:
        together.wait(30)
        return ensure(name, f"op-{number % 2}")

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(run, range(4)))

    assert len(found) == 1
    assert found == {read_password(target_client("secretsmanager", "us-west-2"), name, "f")}


def test_secret_that_appears_in_between_is_taken(account: Sandbox, name: str) -> None:
    """
    A secret made after it was looked for, and before it could be made, is everybody's.
    """
    client = target_client("secretsmanager", "us-west-2")
    other = account.client("secretsmanager")

    def make_it_first(**_: Any) -> None:
        other.create_secret(Name=name, SecretString="of-the-other-run")

    client.meta.events.register("before-call.secrets-manager.CreateSecret", make_it_first)
    try:
        found = ensure(name)
    finally:
        client.meta.events.unregister("before-call.secrets-manager.CreateSecret", make_it_first)

    assert found.value.get_secret_value() == "of-the-other-run"


def test_secret_cannot_be_made_under_an_arn(account: Sandbox) -> None:
    """
    An ARN holds characters that AWS chooses, so a missing one is refused with what to do.
    """
    arn = f"arn:aws:secretsmanager:us-west-2:987654321098:secret:{uuid4()}-AbCdEf"

    with pytest.raises(Refused) as refused:
        ensure(arn)

    assert str(refused.value) == (
        f"roles.0.secret_id {arn}: there is no such secret, and none can be made under an ARN. "
        "Give the new secret a name."
    )


def test_secret_that_is_being_deleted_is_not_made_anew(account: Sandbox, name: str) -> None:
    """
    AWS keeps the name of a deleted secret for days: that is told, and nothing is made.
    """
    client = account.client("secretsmanager")
    client.create_secret(Name=name, SecretString="S3cret")
    client.delete_secret(SecretId=name)

    with pytest.raises(Refused, match=r"cannot be read: .*\. Restore the secret, or name another"):
        ensure(name)


def test_secret_that_may_not_be_made_tells_the_permissions(account: Sandbox, name: str) -> None:
    """
    A denied CreateSecret names the actions to grant.
    """
    account.plant(Fault("secretsmanager", "CreateSecret", "AccessDeniedException", "not you"))

    with pytest.raises(Refused, match=r"may not be made\. Grant secretsmanager:CreateSecret"):
        ensure(name)
