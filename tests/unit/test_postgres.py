"""Refused connections: which of libpq's words are worth another look."""

from datetime import UTC, datetime, timedelta

import pytest

from aurora_restore.postgres import lags, remedy_for

AT = 'connection to server at "db.example.com" (10.0.0.1), port 5432 failed: '
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "message",
    [
        f"{AT}Connection refused\n\tIs the server running on that host?",
        f"{AT}timeout expired",
        f"{AT}FATAL:  the database system is starting up",
        f"{AT}FATAL:  the database system is shutting down",
        f"{AT}FATAL:  the database system is in recovery mode",
        f"{AT}FATAL:  the database system is not yet accepting connections",
        f"{AT}FATAL:  sorry, too many clients already",
        f"{AT}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER",
        f"{AT}server closed the connection unexpectedly",
        f"{AT}SSL SYSCALL error: EOF detected",
        'could not translate host name "db.example.com" to address: Name or service not known',
        'server certificate for "old.example.com" does not match host name "db.example.com"',
        f"{AT}FATAL:  Passwort-Authentifizierung für Benutzer »postgres« fehlgeschlagen",
        "something that no version has said yet",
    ],
)
def test_what_may_pass_is_waited_for(message: str) -> None:
    """
    A server that is not there yet has no remedy but time; nor has what nobody knows.
    """
    assert remedy_for(message, lag=False) is None


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (f'{AT}FATAL:  role "app" is not permitted to log in', "Let the role log in"),
        (f'{AT}FATAL:  role "app" does not exist', "Let the role log in"),
        (f'{AT}FATAL:  database "app" does not exist', "Correct the database's name"),
        (f'{AT}FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "The server lets nobody in"),
        (f"{AT}SSL error: certificate verify failed", "Name the file"),
        ('root certificate file "/x.pem" does not exist', "Name the file"),
    ],
)
@pytest.mark.parametrize("lag", [True, False])
def test_what_somebody_must_change_is_final(message: str, remedy: str, lag: bool) -> None:  # noqa: FBT001
    """
    No wait corrects a name, a privilege or an authority, also right after a password was set.
    """
    assert str(remedy_for(message, lag=lag)).startswith(remedy)


@pytest.mark.parametrize(
    ("method", "remedy"), [("password", "Correct the password"), ("PAM", "A member of rds_iam")]
)
def test_refused_password_may_pass_while_it_lags(method: str, remedy: str) -> None:
    """
    A refused password or IAM token is final only once the server must know it.
    """
    message = f'{AT}FATAL:  {method} authentication failed for user "app"'

    assert remedy_for(message, lag=True) is None
    assert str(remedy_for(message, lag=False)).startswith(remedy)


def test_password_lags_for_the_time_that_is_set() -> None:
    """
    From the moment it was set, for so many seconds; one set long ago not at all.
    """
    assert lags(NOW - timedelta(seconds=119), NOW, 120)
    assert not lags(NOW - timedelta(seconds=120), NOW, 120)
    assert not lags(None, NOW, 120)
