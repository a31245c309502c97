"""The parameters of a run: what is refused, and in which words."""

from typing import Any

import pytest
from examples import SOURCE_ACCOUNT, parameters, request
from pydantic import BaseModel, ValidationError

from aurora_restore.request import DatabaseRole, RestoreRequest, one_line

ROLE = {"name": "app", "secret_id": "aurora-restore/app"}
SERVERLESS = "serverless_min_acu, serverless_max_acu: give both with instance_class db.serverless"


def refusal(given: dict[str, Any]) -> str:
    """Return the line that says why the request is refused."""
    with pytest.raises(ValidationError) as refused:
        RestoreRequest.model_validate(given)
    return one_line(refused.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"source_account_id": "12345"}, r"source_account_id: malformed; it must match ^\d{12}$"),
        ({"source_account_id": 5}, "source_account_id: Input should be a valid string"),
        (
            {"target_account_id": "1" * 13},
            r"target_account_id: malformed; it must match ^\d{12}$",
        ),
        (
            {"source_region": "Virginia"},
            r"source_region: malformed; it must match ^[a-z]{2}(-[a-z]+)+-\d$",
        ),
        (
            {"target_region": ""},
            r"target_region: malformed; it must match ^[a-z]{2}(-[a-z]+)+-\d$",
        ),
        (
            {"snapshot_id": "daily--backup"},
            "snapshot_id: malformed; it must match ^(rds:)?[A-Za-z](-?[A-Za-z0-9])*$",
        ),
        (
            {"target_cluster_id": "staging-"},
            "target_cluster_id: malformed; it must match ^[A-Za-z](-?[A-Za-z0-9])*$",
        ),
        (
            {"target_cluster_id": "a" * 64},
            "target_cluster_id: String should have at most 63 characters",
        ),
        (
            {"replaces": "1st"},
            "replaces: malformed; it must match ^[A-Za-z](-?[A-Za-z0-9])*$",
        ),
        (
            {"target_snapshot": "a_b"},
            "target_snapshot: malformed; it must match ^[A-Za-z](-?[A-Za-z0-9])*$",
        ),
        ({"replace": "swop"}, "replace: Input should be 'delete-first' or 'swap'"),
        ({"snapshot_type": "any"}, "snapshot_type: Input should be 'manual' or 'automated'"),
        (
            {"max_snapshot_age_hours": 0},
            "max_snapshot_age_hours: Input should be greater than or equal to 1",
        ),
        (
            {"final_snapshot": "perhaps"},
            "final_snapshot: Input should be a valid boolean, unable to interpret input",
        ),
        ({"kms_key_id": ""}, "kms_key_id: String should have at least 1 character"),
        (
            {"db_subnet_group_name": ""},
            "db_subnet_group_name: String should have at least 1 character",
        ),
        (
            {"security_group_ids": []},
            "security_group_ids: List should have at least 1 item after validation, not 0",
        ),
        (
            {"security_group_ids": ["default"]},
            "security_group_ids.0: malformed; it must match ^sg-[0-9a-f]+$",
        ),
        ({"port": 22}, "port: Input should be greater than or equal to 1150"),
        ({"port": 65536}, "port: Input should be less than or equal to 65535"),
        (
            {"instance_class": "r6g.large"},
            r"instance_class: malformed; it must match ^db\.[a-z0-9.-]+$",
        ),
        ({"reader_count": 16}, "reader_count: Input should be less than or equal to 15"),
        ({"reader_count": -1}, "reader_count: Input should be greater than or equal to 0"),
        ({"storage_type": "io1"}, "storage_type: Input should be 'aurora' or 'aurora-iopt1'"),
        (
            {"backup_retention_days": 36},
            "backup_retention_days: Input should be less than or equal to 35",
        ),
        (
            {"log_exports": ["audit"]},
            "log_exports.0: Input should be 'postgresql', 'instance' or 'iam-db-auth-error'",
        ),
        ({"master_secret_id": ""}, "master_secret_id: String should have at least 1 character"),
        ({"database": ""}, "database: empty; give a name"),
        ({"archive": "glacier"}, "archive: Input should be 'keep' or 'delete'"),
        (
            {"archive_keep_newest": 0},
            "archive_keep_newest: Input should be greater than or equal to 1",
        ),
        (
            {"operation_id": "op 1"},
            "operation_id: malformed; it must match ^[A-Za-z0-9][A-Za-z0-9._-]*$",
        ),
        (
            {"roles": [ROLE | {"access": "admin"}]},
            "roles.0.access: Input should be 'read_only', 'read_write', 'owner' or 'monitoring'",
        ),
        (
            {"roles": [ROLE | {"schemas": []}]},
            "roles.0.schemas: List should have at least 1 item after validation, not 0",
        ),
        (
            {"roles": [ROLE | {"secret_id": ""}]},
            "roles.0.secret_id: String should have at least 1 character",
        ),
    ],
)
def test_field_out_of_bounds_is_refused_in_one_line(changes: dict[str, Any], line: str) -> None:
    """
    A wrong value is refused in one line that names the field and what it should be.
    """
    assert refusal(parameters() | changes) == line


@pytest.mark.parametrize(
    "field",
    [name for name, field in RestoreRequest.model_fields.items() if field.is_required()],
)
def test_missing_field_is_named(field: str) -> None:
    """
    Each required field that is left out is named.
    """
    assert refusal(parameters(**{field: None})) == f"{field}: missing; give a value"


def test_all_wrong_fields_are_told_at_once() -> None:
    """
    Several wrong fields are told in the same line, so that one correction is enough.
    """
    line = refusal(parameters(port=1, target_region=None, snapshots="x"))

    assert line == (
        "target_region: missing; give a value; "
        "port: Input should be greater than or equal to 1150; "
        "snapshots: unknown field; remove it or correct its name"
    )


def test_unknown_field_is_refused() -> None:
    """
    A field the request does not know is refused: a misspelt `final_snapshot` must not be ignored.
    """
    assert refusal(parameters(final_snapshoot=True)) == (
        "final_snapshoot: unknown field; remove it or correct its name"
    )
    assert refusal(parameters(roles=[ROLE | {"password": "x"}])) == (
        "roles.0.password: unknown field; remove it or correct its name"
    )


def test_refusal_is_one_line_whatever_the_fields_are_called() -> None:
    """
    A line break in a field's name does not break the line.
    """
    assert refusal(parameters() | {"a\nb\r": 1}) == (
        "a b: unknown field; remove it or correct its name"
    )


def test_refusal_does_not_repeat_values() -> None:
    """
    What was given is not repeated: somebody may have put a password into the wrong field.
    """
    hidden = "S3cret/Marker"

    line = refusal(
        parameters(
            operation_id=hidden,
            port=hidden,
            kms_key_id=[hidden],
            password=hidden,
            roles=[ROLE | {"name": hidden}],
        )
    )

    assert hidden not in line
    assert "password: unknown field" in line


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"snapshot_id": None},
            "snapshot_id, source_cluster_id: give exactly one of the two",
        ),
        (
            {"source_cluster_id": "production"},
            "snapshot_id, source_cluster_id: give exactly one of the two",
        ),
    ],
)
def test_either_a_snapshot_or_a_cluster_is_the_source(changes: dict[str, Any], line: str) -> None:
    """
    The source is a snapshot or a cluster's newest one, not both and not neither.
    """
    assert refusal(parameters(**changes)) == line


@pytest.mark.parametrize(
    "changes",
    [
        {"target_cluster_id": "production"},
        {"target_cluster_id": "PRODUCTION"},
        {"replaces": "Production"},
    ],
)
def test_source_is_never_the_target(changes: dict[str, Any]) -> None:
    """
    In one account and Region the source cluster can be neither the target nor what is replaced.
    """
    given = parameters(
        snapshot_id=None,
        source_cluster_id="production",
        target_account_id=SOURCE_ACCOUNT,
        target_region="us-east-1",
        **changes,
    )

    assert refusal(given) == (
        "target_cluster_id: 'production' is the source itself; name another target cluster, "
        "account or Region"
    )


def test_same_name_in_another_region_is_no_source() -> None:
    """
    The same identifier in another Region is another cluster.
    """
    accepted = request(
        snapshot_id=None,
        source_cluster_id="staging",
        target_account_id=SOURCE_ACCOUNT,
    )

    assert accepted.replaced_cluster_id == "staging"


def test_named_snapshot_of_the_same_account_and_region_is_accepted() -> None:
    """
    A snapshot named by its identifier can be restored where it lies.
    """
    accepted = request(target_account_id=SOURCE_ACCOUNT, target_region="us-east-1")

    assert (accepted.source_cluster_id, accepted.replaces) == (None, None)


def test_identifiers_are_lower_cased() -> None:
    """
    RDS keeps identifiers in lower case, so comparisons with its answers need that too.
    """
    given = request(
        snapshot_id=None,
        source_cluster_id="Production",
        target_cluster_id="Staging",
        replaces="OLD",
        target_snapshot="Copy-1",
    )

    assert (given.source_cluster_id, given.target_cluster_id) == ("production", "staging")
    assert (given.replaced_cluster_id, given.target_snapshot) == ("old", "copy-1")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"instance_class": "db.serverless", "serverless_min_acu": 1}, SERVERLESS),
        ({"instance_class": "db.serverless", "serverless_max_acu": 1}, SERVERLESS),
        (
            {
                "instance_class": "db.r6g.large",
                "serverless_min_acu": 0.5,
                "serverless_max_acu": 4,
            },
            SERVERLESS,
        ),
        (
            {"serverless_min_acu": 0.3, "serverless_max_acu": 4},
            "serverless_min_acu: Input should be a multiple of 0.5",
        ),
        ({"serverless_min_acu": 0.5}, SERVERLESS),
        (
            {
                "instance_class": "db.serverless",
                "serverless_min_acu": 8,
                "serverless_max_acu": 4,
            },
            "serverless_min_acu: greater than serverless_max_acu; exchange the two",
        ),
    ],
)
def test_serverless_range_belongs_to_the_serverless_class(
    changes: dict[str, Any], line: str
) -> None:
    """
    A capacity range is given with db.serverless, whole and in order, and with no other class.
    """
    assert refusal(parameters(**changes)).startswith(line)


def test_serverless_class_with_its_range_is_accepted() -> None:
    """
    db.serverless with both bounds is a valid request.
    """
    given = request(
        instance_class="db.serverless", serverless_min_acu=0.5, serverless_max_acu=0.5 * 3
    )

    assert (given.serverless_min_acu, given.serverless_max_acu) == (0.5, 1.5)


def test_role_may_stand_only_once() -> None:
    """
    Two entries for one role would contradict each other.
    """
    assert refusal(parameters(roles=[ROLE, ROLE | {"access": "read_write"}])) == (
        "roles: ['app'] stand twice; name each role once"
    )


@pytest.mark.parametrize(
    "name", ["pg_monitor", "rds_superuser", "rdsadmin", "postgres", "public", "rds_iam"]
)
def test_reserved_role_is_refused(name: str) -> None:
    """
    Roles that belong to PostgreSQL, to RDS or to the administrator are not to be altered.
    """
    assert refusal(parameters(roles=[ROLE | {"name": name}])) == (
        f"roles.0.name: {name!r} is reserved by PostgreSQL or RDS; choose another role name"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty; give a name"),
        ("a\nb", "holds a control or an invisible character; remove it"),
        ("a" * 64, "longer than 63 bytes, PostgreSQL would cut it; shorten the name"),
        ("é" * 32, "longer than 63 bytes, PostgreSQL would cut it; shorten the name"),
    ],
)
def test_role_name_that_postgresql_would_not_keep_is_refused(name: str, said: str) -> None:
    """
    A name is taken as it is, or not at all.
    """
    assert refusal(parameters(roles=[ROLE | {"name": name}])) == f"roles.0.name: {said}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"roles": [ROLE | {"member_of": ["b"]}, ROLE | {"name": "b", "member_of": ["app"]}]},
            "roles: circular membership app -> b -> app; remove one of the memberships",
        ),
        (
            {"scripts": [{"file": "a.sql"}, {"file": "a.sql"}]},
            "scripts: 'a.sql' stands twice for database 'postgres'; a script runs once: remove one",
        ),
        (
            {"verify": [{"name": "x", "sql": "SELECT true"}] * 2},
            "verify: ['x'] stand twice; name each assertion once",
        ),
        (
            {"verify": [{"name": "x", "sql": "SELECT true; DROP TABLE a"}]},
            "verify.0.sql: holds 2 statements; give one query",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], said: str) -> None:
    """
    Roles, scripts and assertions are each in order, and with each other.
    """
    assert refusal(parameters(**fields)) == said


@pytest.mark.parametrize("model", [RestoreRequest, DatabaseRole])
def test_every_field_of_the_form_is_explained(model: type[BaseModel]) -> None:
    """
    The form of the UI shows a title and a description for each field, and takes no other field.
    """
    schema = model.model_json_schema()

    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == model.model_fields.keys()
    for name, field in schema["properties"].items():
        assert field.get("title"), name
        assert field.get("description", "").endswith("."), name


def test_request_cannot_be_changed_afterwards() -> None:
    """
    What was validated stays what it was.
    """
    with pytest.raises(ValidationError, match="Instance is frozen"):
        request().port = 1  # type: ignore[misc]
