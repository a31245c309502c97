"""Names and passwords that look like something else: each is only ever a name, or a password."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier
from pydantic import ValidationError

from aurora_restore.access.declared import DatabaseRole
from sandbox.postgres import PostgresHost
from tests.access_server import AccessServer, login

NAMES = {
    "quote": "it's",
    "double quote": 'say "x"',
    "only quotes": "\"'\"'",
    "backslash": "back\\slash\\",
    "dollars": "$$x$$",
    "tagged dollars": "$body$",
    "percent": "%s %(name)s 100%",
    "braces": "{} {role} {0}",
    "semicolon": 'x"; DROP TABLE kept; --',
    "comment": "/* x */ -- y",
    "space": " a b ",
    "comma": "a, b",
    "dots": "a.b.c",
    "equals": "host=example.com sslmode=disable",
    "brackets": "a(b)[c]",
    "capitals": "ROLE",
    "keyword": "select",
    "public": "PUBLIC",
    "current user": "current_user",
    "digits": "1e5",
    "unicode": "Größe-✓-名前",
    "emoji": "🐘🔑",
    "right to left": "אבג",
    "composed": "e\u0301",
    "63 bytes": "x" * 63,
    "63 bytes of quotes": '"' * 63,
    "63 bytes of unicode": "ä" * 31 + "x",
    "percent and newline's letters": "\\n%%\\x00",
    "colon": "a::text",
    "escape": "E'x'",
    "unicode escape": 'U&"x"',
    "url": "a@b/c?d=e#f",
}
PASSWORDS = {
    "quote": "it's",
    "double quote": 'say "x"',
    "backslash": "\\'; DROP ROLE x; --\\",
    "dollars": "$$;--",
    "percent": "%s %(x)s %",
    "braces": "{} {verifier}",
    "newline": "two\nlines\r\n",
    "tab": "a\tb",
    "space": " x ",
    "unicode": "é✅名",
    "combining": "e\u0301",
    "verifier": "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5",
    "hash": "md5" + "0" * 32,
    "long": "x" * 200,
    "one": "x",
}
REFUSED = {
    "empty": "",
    "NUL": "a\0b",
    "newline": "a\nb",
    "tab": "a\tb",
    "escape": "a\x1b[31m",
    "delete": "a\x7f",
    "next line": "a\x85b",
    "zero width": "a\u200bb",
    "direction": "a\u202eb",
    "line separator": "a\u2028b",
    "surrogate": "a\ud800",
    "64 bytes": "x" * 64,
    "64 bytes of unicode": "ä" * 32,
    "postgres": "postgres",
    "public": "public",
    "none": "none",
    "rdsadmin": "rdsadmin",
    "rds": "rds_iam",
    "pg": "pg_monitor",
}
SAMPLE = {"quote", "double quote", "63 bytes of quotes", "percent", "semicolon", "emoji", "newline"}


def rows(table):
    """Parametrise by a table's names; all but a sample are of the long proof."""
    return [
        pytest.param(each, id=name, marks=() if name in SAMPLE else pytest.mark.long)
        for name, each in table.items()
    ]


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[dict[str, AccessServer]]:
    with closing(PostgresHost(tmp_path_factory.mktemp("names"))) as host:
        yield {major: AccessServer(host, major) for major in ("16", "18")}


@pytest.fixture(params=["16", "18"])
def server(servers, request) -> AccessServer:
    servers[request.param].reset()
    return servers[request.param]


def prove(server: AccessServer, role: DatabaseRole, word: str, schema: str, table: str) -> None:
    """See that it is made, granted, logged in, and right the second time; nothing else changed."""
    server.source("CREATE TABLE public.kept (id int); CREATE ROLE x")
    names = {"schema": Identifier(schema), "table": Identifier(table)}
    with server.master() as opened, opened.cursor() as cursor:
        cursor.execute(SQL("CREATE SCHEMA {schema}").format(**names))
        cursor.execute(SQL("CREATE TABLE {schema}.{table} (id int)").format(**names))
        cursor.execute(
            SQL("CREATE SEQUENCE {schema}.{}").format(Identifier(table[:-1] + "q"), **names)
        )
        routine = (
            "CREATE FUNCTION {schema}.{table}({schema}.{table}) RETURNS int LANGUAGE sql AS {}"
        )
        cursor.execute(SQL(routine).format(SQL("'SELECT 1'"), **names))
    other = DatabaseRole(name="owner", access="owner", schemas=[schema])

    server.apply(role, other, passwords={role.name: word})

    with server.logged_in(role.name, word) as session, session.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchall() == [(role.name,)]
        cursor.execute(SQL("INSERT INTO {schema}.{table} VALUES (1)").format(**names))
        cursor.execute(SQL("TABLE {schema}.{table}").format(**names))
    with (
        pytest.raises(psycopg2.OperationalError, match="password authentication failed"),
        server.logged_in(role.name, f"{word}x"),
    ):
        pass
    done = server.apply(role, other, undeclared="drop")
    assert [each.changes for each in done.values()] == [0]
    assert server.sql("SELECT rolname FROM pg_roles WHERE rolname = 'x'") == [("x",)]
    assert server.sql("TABLE public.kept") == []


@pytest.mark.parametrize("name", rows(NAMES))
def test_hostile_role_name_is_only_a_name(server, name) -> None:
    """
    A role of any printable name is made, granted and logs in; a second run changes nothing.
    """
    role = login(name, access="read_write", schemas=["s"], settings={"search_path": "s, public"})

    prove(server, role, "word", "s", "t")


@pytest.mark.parametrize("name", rows(NAMES))
def test_hostile_object_name_is_only_a_name(server, name) -> None:
    """
    A schema and its objects may have any name as well, and so may a group.
    """
    role = login("r", access="read_write", schemas=[name])

    prove(server, role, "word", name, name)


@pytest.mark.parametrize("word", rows(PASSWORDS))
def test_hostile_password_is_only_a_password(server, word) -> None:
    """
    A password of any characters logs in, and another one does not.
    """
    prove(server, login("r", access="read_write", schemas=["s"]), word, "s", "t")


@pytest.mark.parametrize("name", rows(REFUSED))
def test_hostile_name_is_refused(name) -> None:
    """
    A name that PostgreSQL would cut, keep for itself or show as another is refused.
    """
    with pytest.raises(ValidationError):
        DatabaseRole(name=name)
