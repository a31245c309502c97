"""Secrets: which forms are taken, and what is said of the others."""

import json
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from aurora_restore.errors import NotFound, Refused, RestoreError
from aurora_restore.secrets import Password, get_master_password, get_password, read_password


class Denied(ClientError):
    """The error AWS sends to whom it may not concern."""

    def __init__(self, code: str) -> None:
        super().__init__({"Error": {"Code": code, "Message": "no"}}, "GetSecretValue")


class Keeper:
    """A Secrets Manager with one secret."""

    class exceptions:  # noqa: N801 - botocore's name
        ClientError = ClientError
        ResourceNotFoundException: ClassVar = type("ResourceNotFoundException", (Denied,), {})
        InvalidRequestException: ClassVar = type("InvalidRequestException", (Denied,), {})
        InvalidParameterException: ClassVar = type("InvalidParameterException", (Denied,), {})

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._answer = answer

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert SecretId == "aurora-restore/app"
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def refusal(answer: dict[str, Any] | Exception, reader: Any = get_password) -> RestoreError:
    fields = ["roles.0.secret_id"] if reader is get_password else []
    with pytest.raises(RestoreError) as refused:
        reader(Keeper(answer), "aurora-restore/app", *fields)
    return refused.value


def text(password: object) -> dict[str, Any]:
    return {"SecretString": json.dumps({"username": "app", "password": password})}


def test_password_is_taken_and_hidden() -> None:
    """
    The password of RDS's JSON shape is returned in a form that no log prints.
    """
    found = get_password(Keeper(text("S3cret")), "aurora-restore/app", "f")  # type: ignore[arg-type]

    assert found.get_secret_value() == "S3cret"
    assert "S3cret" not in f"{found} {found!r}"


@pytest.mark.parametrize(
    "password", ["S3cret", "12345678", "true", "null", "{9x", "[a", '"a', "a b", "pässwörd"]
)
def test_secret_that_is_a_password_alone_is_taken_as_it_is(password: str) -> None:
    """
    A text that is no JSON object is the password, also where it happens to be a JSON number.
    """
    answer = {"SecretString": password, "VersionId": "v-1"}

    found = read_password(Keeper(answer), "aurora-restore/app", "f")  # type: ignore[arg-type]

    assert found == Password(SecretStr(password), "v-1")


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretString": '"S3cret"'},
        {"SecretString": '["S3cret"]'},
        {"SecretString": '{"Password": "S3cret"}'},
        {"SecretString": '{"password": "S3cret"'},
        {"SecretString": "{}"},
        {"SecretString": ' {"password": "S3cret'},
        {"SecretString": "S3cret\n"},
        {"SecretString": " S3cret"},
        {"SecretString": ""},
        {"SecretString": " "},
        {"SecretBinary": b"S3cret"},
        text(""),
        text(None),
        text(12345678),
        text(["S3cret"]),
    ],
)
def test_other_forms_are_refused_without_being_quoted(answer: dict[str, Any]) -> None:
    """
    A secret in another shape is refused with the shape it should have, never with its content.
    """
    refused = refusal(answer)

    assert str(refused) == (
        "roles.0.secret_id aurora-restore/app: the secret is neither a JSON object with a "
        "`password` text nor a password alone. "
        'Store it as {"username": "...", "password": "..."}.'
    )
    assert isinstance(refused, Refused)
    assert refused.__cause__ is None
    assert refused.__context__ is None


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("S3\0cret", "the password holds a NUL character"),
        ("S3cret" * 171, "the password is longer than 1024 bytes"),
        ("é" * 513, "the password is longer than 1024 bytes"),
    ],
)
def test_password_that_no_login_can_use_is_refused(password: str, problem: str) -> None:
    """
    PostgreSQL's protocol ends texts with NUL, and clients before version 14 stop at 1,024 bytes.
    """
    refused = refusal(text(password))

    assert str(refused).startswith(f"roles.0.secret_id aurora-restore/app: {problem}")
    assert password[:2] not in str(refused)


def test_longest_password_is_taken() -> None:
    """
    1,024 bytes are none too many.
    """
    found = get_password(Keeper(text("é" * 512)), "aurora-restore/app", "f")  # type: ignore[arg-type]

    assert found.get_secret_value() == "é" * 512


def test_missing_secret_is_named() -> None:
    """
    A secret that does not exist is told with the field that names it.
    """
    missing = refusal(Keeper.exceptions.ResourceNotFoundException("ResourceNotFoundException"))

    assert isinstance(missing, NotFound)
    assert str(missing) == (
        "roles.0.secret_id aurora-restore/app: no such secret in the target account and Region. "
        "Check the name, the account and the Region in the request."
    )


def test_secret_that_may_not_be_read_tells_the_permission() -> None:
    """
    A denied secret names the action to grant.
    """
    refused = refusal(Denied("AccessDeniedException"))

    assert str(refused) == (
        "roles.0.secret_id aurora-restore/app: the secret may not be read. "
        "Grant secretsmanager:GetSecretValue on it."
    )


def test_other_faults_of_aws_pass_unchanged() -> None:
    """
    What is not named by these rules is AWS's own error.
    """
    with pytest.raises(Denied, match="InternalServiceError"):
        get_password(Keeper(Denied("InternalServiceError")), "aurora-restore/app", "f")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "password", ["x" * 8, "x" * 41, "!#$%&()*+,-.:;<=>?[]^_`{|}~\\", "Aa0Zz9!~"]
)
def test_master_password_that_rds_takes(password: str) -> None:
    """
    8 to 41 characters without slash, quotes, at sign or space are a master password.
    """
    found = get_master_password(Keeper(text(password)), "aurora-restore/app")  # type: ignore[arg-type]

    assert found.get_secret_value() == password


@pytest.mark.parametrize(
    "password",
    [
        "x" * 7,
        "x" * 42,
        "with/slash",
        'with"quote',
        "with'quote",
        "with@sign",
        "with space",
        "with\ttab1",
        "wíth-accent",
        "newline-at-end\n",
    ],
)
def test_master_password_that_rds_refuses(password: str) -> None:
    """
    A master password that RDS would refuse is refused beforehand, without being quoted.
    """
    refused = refusal(text(password), get_master_password)

    assert str(refused) == (
        "master_secret_id aurora-restore/app: RDS does not accept this password. Use 8 to 41 "
        "printable ASCII characters without slash, quotes, at sign or space."
    )
