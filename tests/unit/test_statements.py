"""SQL cut into statements: by PostgreSQL's tokens, not by what looks like them."""

import time
from contextlib import suppress

import pytest

from aurora_restore.statements import NotPlainSql, split

ONE_EACH = {
    "nested comment": "SELECT /* a /* ; */ ; */ 1",
    "line comment": "SELECT 1 -- ; COMMIT\n + 1",
    "doubled quote": "SELECT 'it''s; COMMIT; '",
    "backslash is a character": r"SELECT 'a\'",
    "escape string": r"SELECT E'it\'s; \\'",
    "escape string that goes on": "SELECT E'a' -- more\n 'b\\'; c'",
    "string that goes on": "SELECT 'a'\n 'b\\'",
    "no escape string": r"SELECT some'a\'",
    "unicode string": r"SELECT U&'\0441;'",
    "quoted name": 'SELECT 1 AS "a;b"";c\\"',
    "dollar quotes": "DO $$ BEGIN PERFORM 1; COMMIT; END $$",
    "tagged dollar quotes": "SELECT $a$ $$;$b$; $a$",
    "tag of other letters": "SELECT $größe$ ; $größe$",
    "dollar in a name": "SELECT 1 AS a$b$c",
    "parameter": "PREPARE p (int) AS SELECT $1",
    "rule": "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v)",
    "routine": "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC\n SELECT 1; "
    "SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
    "procedure": "CREATE PROCEDURE p(begin int) BEGIN ATOMIC INSERT INTO t VALUES (1); END",
    "column begin": "CREATE TABLE t (begin int, atomic int)",
    "column after a word begin": "SELECT begin atomic FROM t",
    "operators": "SELECT 1 *-- ;\n 2",
    "arrays": "SELECT (ARRAY[1, 2])[1:2]",
    "copy to a table": "COPY t FROM PROGRAM 'stdin'",
    "name that begins like a command": "SELECT commit FROM begin",
}


@pytest.mark.parametrize("text", ONE_EACH.values(), ids=ONE_EACH)
def test_statement_ends_where_postgresql_ends_it(text: str) -> None:
    """
    No semicolon in quotes, comments, parentheses or a routine's body ends a statement.
    """
    found = split(f"-- first\n\n{text} ;\nSELECT 2; ;")

    assert [(each.line, each.text.rstrip()) for each in found] == [
        (3, text),
        (4 + text.count("\n"), "SELECT 2"),
    ]


def test_last_semicolon_may_be_left_out() -> None:
    """
    What the text ends with is a statement as well; comments alone are none.
    """
    assert [each.text for each in split("SELECT 1;\r\nSELECT 2 \n")] == ["SELECT 1", "SELECT 2"]
    assert split(" ;; -- nothing\n/* at all */") == []


def test_position_leads_to_the_line() -> None:
    """
    PostgreSQL counts characters from one, from the beginning of the statement.
    """
    [found] = split("\n\nSELECT 'ä',\n\n  wrong")

    assert found.line_of(found.text.index("wrong") + 1) == 5
    assert found.line_of(1) == found.line_of(0) == 3


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("BEGIN", "BEGIN"),
        ("begin work", "BEGIN"),
        ("/* x */ Start Transaction READ ONLY", "START"),
        ("COMMIT AND CHAIN", "COMMIT"),
        ("COMMIT PREPARED 'x'", "COMMIT"),
        ("END", "END"),
        ("ROLLBACK TO SAVEPOINT a", "ROLLBACK"),
        ("ABORT", "ABORT"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("RELEASE a", "RELEASE"),
        ("PREPARE TRANSACTION 'x'", "PREPARE"),
    ],
)
def test_transaction_control_is_refused(statement: str, word: str) -> None:
    """
    Whatever begins, ends or divides a transaction is told by its line.
    """
    with pytest.raises(NotPlainSql) as refused:
        split(f"SELECT 1;\n{statement};\nSELECT 2")

    assert str(refused.value) == (
        f"line 2: {word} begins or ends a transaction, but this runs in one of its own; remove it"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\\i other.sql", "line 1: a backslash outside of quotes"),
        ("SELECT 1;\n\\copy t FROM 'x'", "line 2: a backslash outside of quotes"),
        ("SELECT 1 \\gexec", "line 1: a backslash outside of quotes"),
        ("COPY t (a, b) FROM stdin WITH CSV;", "line 1: COPY from or to the client"),
        ("\ncopy (SELECT 1) to STDOUT", "line 2: COPY from or to the client"),
        ("SELECT 1;\nSELECT 'x;\n", "line 2: the quotation that begins here has no end"),
        ('SELECT "x', "line 1: the quotation that begins here has no end"),
        ("SELECT E'x\\'", "line 1: the quotation that begins here has no end"),
        ("SELECT E'a'\n'b\\'", "line 1: the quotation that begins here has no end"),
        ("SELECT 1;\n\nDO $a$ x $b$", "line 3: the quotation that begins here has no end"),
        ("SELECT 1;\n/* /* */", "line 2: the comment that begins here has no end"),
    ],
)
def test_what_is_not_plain_sql_is_refused(text: str, problem: str) -> None:
    """
    Commands of psql, data of a client, and what has no end are told by their line.
    """
    with pytest.raises(NotPlainSql) as refused:
        split(text)

    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize(
    "text", ["SELECT 'a''b';\n" * 60_000, "DO $$ $$;" * 100_000, "/*" * 500_000, "'a' " * 250_000]
)
def test_large_text_is_cut_in_time(text: str) -> None:
    """
    The time grows with the length, not with its square.
    """
    began = time.process_time()
    with suppress(NotPlainSql):
        split(text)

    assert time.process_time() - began < 20
