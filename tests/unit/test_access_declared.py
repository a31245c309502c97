"""Declared roles: which names PostgreSQL keeps, and what contradicts itself."""

import pytest
from pydantic import ValidationError

from aurora_restore.access.declared import DatabaseRole, Declared, Privileges, conflicts

NAMED = {"database": "app"}


def role(name: str, **more) -> DatabaseRole:
    return DatabaseRole(name=name, **more)


@pytest.mark.parametrize(
    "name",
    ["a", "x" * 63, "ä" * 31, "with space", "semi;colon", 'qu"ote', "it's", "back\\slash", "$$"],
)
def test_any_printable_name_is_taken(name) -> None:
    """
    A role's name may be of any printable characters, up to 63 bytes.
    """
    assert role(name).name == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty; give a name"),
        ("x" * 64, "longer than 63 bytes, PostgreSQL would cut it; shorten the name"),
        ("ä" * 32, "longer than 63 bytes, PostgreSQL would cut it; shorten the name"),
        ("nul\0", "holds a control or an invisible character; remove it"),
        ("line\nbreak", "holds a control or an invisible character; remove it"),
        ("zero\u200bwidth", "holds a control or an invisible character; remove it"),
        ("pg_mine", "'pg_mine' is reserved by PostgreSQL or RDS; choose another role name"),
        ("rds_mine", "'rds_mine' is reserved by PostgreSQL or RDS; choose another role name"),
        ("postgres", "'postgres' is reserved by PostgreSQL or RDS; choose another role name"),
    ],
)
def test_name_postgresql_would_not_keep_is_refused(name, said) -> None:
    """
    A name that PostgreSQL would cut, refuse or show as another is refused, and why.
    """
    with pytest.raises(ValidationError, match=said):
        role(name)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"access": "monitoring", "iam": True},
        {"access": "read_only", "secret_id": "s"},
        {"privileges": [{"preset": "monitoring"}, {"schemas": ["s"], "on_tables": ["SELECT"]}]},
        {"member_of": ["b"], "valid_until": "2030-01-01T00:00:00Z", "settings": {"a": "b"}},
    ],
)
def test_role_is_read_back_as_it_was_written(more) -> None:
    """
    The record of a plan and Prefect's form give every field, also those nobody has set.
    """
    declared = role("a", **more)

    assert DatabaseRole.model_validate_json(declared.model_dump_json()) == declared


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"iam": True, "secret_id": "s"}, "iam: with IAM no password logs in"),
        ({"make_secret": True}, "make_secret: name the secret to make in secret_id"),
        ({"member_of": ["r"]}, "member_of: 'r' is a member of itself; remove it"),
        ({"member_of": ["rds_iam"]}, "set iam to true instead"),
        ({"settings": {"Bad Name": "x"}}, "settings"),
        ({"schemas": ["s"]}, "schemas: without effect; say in access what it may do in them"),
        ({"schemas": ["s"], "access": "monitoring"}, "schemas: without effect"),
        ({"privileges": [{"on_tables": ["SELECT"]}]}, "schemas: missing"),
        ({"privileges": [{"preset": "read_only"}]}, "schemas: missing"),
        ({"privileges": [{"schemas": ["s"], "on_tables": ["ALL"]}]}, "on_tables"),
    ],
)
def test_role_that_contradicts_itself_is_refused(more, said) -> None:
    """
    What makes no sense in one role is refused, with the field.
    """
    with pytest.raises(ValidationError, match=said):
        role("r", **more)


def test_roles_without_contradiction_have_no_conflicts() -> None:
    """
    Different names, no circle and one owner for each schema: nothing is found.
    """
    roles = [
        role("a", member_of=["b"], access="owner", schemas=["s"]),
        role("b", access="owner", schemas=["t"]),
        role("c", privileges=[Privileges(database="other", schemas=["s"], preset="owner")]),
    ]

    assert conflicts(roles, "app") == []


def test_name_that_stands_twice_is_a_conflict() -> None:
    """
    A role is declared once.
    """
    assert conflicts([role("a"), role("a", iam=True)], "app") == [
        "roles: ['a'] stand twice; name each role once"
    ]


def test_circular_membership_is_a_conflict() -> None:
    """
    Roles that are members of each other are told with their chain.
    """
    [found] = conflicts([role("a", member_of=["b"]), role("b", member_of=["a"])], "app")

    assert found.startswith("roles: circular membership ")
    assert found.endswith("; remove one of the memberships")


def test_two_owners_of_a_schema_are_a_conflict() -> None:
    """
    A schema has one owner, however the second one was declared.
    """
    block = Privileges(database="app", schemas=["s"], preset="owner")

    [found] = conflicts(
        [role("a", access="owner", schemas=["s"]), role("b", privileges=[block])], "app"
    )

    assert found == (
        "roles: 'a' and 'b' both own schema 's' of database 'app'; a schema has one owner: give "
        "the preset to one role"
    )


def test_block_without_a_database_is_for_the_requests() -> None:
    """
    A block of privileges that names no database means that of the request.
    """
    declared = Declared("app", [role("a", privileges=[Privileges()])])

    assert [block.database for _, block in declared.grants] == ["app"]
