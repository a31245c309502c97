"""Asks AWS for the facts: who we are, then what needs nothing else, then what follows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aurora_restore import planned_files, sessions
from aurora_restore.access.declared import DatabaseRole
from aurora_restore.announcements import require_topic
from aurora_restore.errors import NotFound
from aurora_restore.files import TextFile
from aurora_restore.preflight import reads, reads_region
from aurora_restore.preflight.draft import Draft, draft
from aurora_restore.preflight.facts import Facts, First
from aurora_restore.preflight.keys import Key, SharedKey, read_key, read_shared_key
from aurora_restore.preflight.reading import Answer, Place, Reader, Unknown
from aurora_restore.rds.route import UNSHAREABLE
from aurora_restore.rds.snapshots import Snapshot, find_source_snapshot
from aurora_restore.request import RestoreRequest
from aurora_restore.secrets import get_master_password, get_password
from aurora_restore.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read_facts(
    request: RestoreRequest, operation_id: str, settings: Settings, reader: Reader
) -> Facts:
    """Start every read; wait only where one needs another's answer.

    Raises:
        botocore.exceptions.NoCredentialsError: there is nobody to ask as.
    """
    first = _first(request, operation_id, settings, reader)
    return _second(first, draft(first), reader)


def _first(request: RestoreRequest, operation_id: str, settings: Settings, reader: Reader) -> First:
    own, region = sessions.owns_source(request), request.target_region
    ask = reader.ask
    sts = sessions.target_client("sts", region)
    account = request.target_account_id
    target = Place(
        ask("target-account", None, "sts", sessions.check_identity, sts, account, "target")
    )
    source = target
    abroad = request.source_account_id != request.target_account_id
    if own and abroad:
        sts, account = sessions.source_client("sts", request), request.source_account_id
        source = Place(
            ask("source-account", None, "sts", sessions.check_identity, sts, account, "source"),
            settings.source_role_arn,
        )
    # Made here, before the threads: a client is kept, and making one takes most of the time.
    rds = sessions.target_client("rds", region)
    source_rds = sessions.source_client("rds", request)
    keeper = sessions.target_client("secretsmanager", region)
    dynamodb = sessions.target_client("dynamodb")
    sns = sessions.target_client("sns", settings.topic_arn.split(":")[3])
    for place in (target, source):
        try:
            place.identity.get()
        except Unknown:
            continue  # told by the check of that account; its reads are not made
    declared, role_file = _roles(request, target, reader)
    secrets = {
        f"{field} {role.secret_id}": ask(
            "secrets", target, "secretsmanager", _has_password, keeper, role, field
        )
        for field, role in declared
        if role.secret_id is not None
    }
    if request.master_secret_id is not None:
        secrets[f"master_secret_id {request.master_secret_id}"] = ask(
            "secrets",
            target,
            "secretsmanager",
            _has_master_password,
            keeper,
            request.master_secret_id,
        )
    return First(
        request=request,
        settings=settings,
        operation_id=operation_id,
        own=own,
        target=target,
        source=source,
        table=ask(
            "records-table", target, "dynamodb", reads.try_table, dynamodb, settings.state_table
        ),
        topic=ask("topic", target, "sns", require_topic, sns, settings.topic_arn),
        snapshot=ask(
            "source-snapshot",
            source,
            "rds",
            lambda: find_source_snapshot(source_rds, request, own=own),
        ),
        clusters=ask("old-cluster", target, "rds", reads.all_clusters, rds),
        instances=ask("old-cluster", target, "rds", reads.all_instances, rds),
        snapshots=ask("identifiers", target, "rds", reads.manual_snapshots, rds),
        quotas=ask("quotas", target, "rds", reads.quotas, rds, courtesy=True),
        versions=ask("engine-version", target, "rds", reads_region.versions, rds),
        secrets=secrets,
        role_file=role_file,
        roles=[role for _, role in declared],
        scripts={
            f"scripts.{number}.file {script.file}": ask(
                "scripts", _keeper_of(script.file, target), "s3", _script, request, script.file
            )
            for number, script in enumerate(request.scripts)
        },
        hop_key=_hop_key(request, target, reader),
        source_copy_key=_shared_key(
            request, target, reader, "source_kms_key_id", request.source_kms_key_id, own=own
        ),
    )


def _second(first: First, made: Draft, reader: Reader) -> Facts:
    ask, target, new = reader.ask, first.target, made.new
    request = first.request
    rds = sessions.target_client("rds", request.target_region)
    ec2 = sessions.target_client("ec2", request.target_region)
    snapshot = made.snapshot
    shared_with = source_key = None
    if snapshot is not None and first.abroad and first.own and snapshot.type == "manual":
        source_rds = sessions.source_client("rds", request)
        shared_with = ask(
            "copy-route", first.source, "rds", reads.shared_with, source_rds, snapshot.name
        )
    if snapshot is not None and snapshot.kms_key_id is not None:
        source_key = _shared_key(
            request, target, reader, "source-key", snapshot.kms_key_id, own=first.own
        )
    target_key = None
    if new.kms_key_id is not None and "kms_key_id" not in made.gaps:
        kms = sessions.target_client("kms", request.target_region)
        target_key = ask(
            "target-key",
            target,
            "kms",
            lambda: read_key(
                kms, str(new.kms_key_id), target.identity.get(), f"kms_key_id {new.kms_key_id}"
            ),
        )
    groups = {each.parameter_group for each in new.instances} - {None}
    known_version = "engine_version" not in made.gaps
    return Facts(
        **first.__dict__,
        draft=made,
        shared_with=shared_with,
        source_key=source_key,
        target_key=target_key,
        subnet_group=None
        if "db_subnet_group_name" in made.gaps
        else ask("subnet-group", target, "rds", reads_region.subnet_group, rds, new.subnet_group),
        security_groups=None
        if "security_group_ids" in made.gaps
        else ask(
            "security-groups",
            target,
            "ec2",
            reads_region.security_groups,
            ec2,
            new.security_group_ids,
            courtesy=True,
        ),
        cluster_group=ask(
            "cluster-parameter-group",
            target,
            "rds",
            reads_region.cluster_group,
            rds,
            new.cluster_parameter_group,
        )
        if reads_region.is_own_group(new.cluster_parameter_group)
        else None,
        instance_groups={
            str(name): ask(
                "instance-parameter-group", target, "rds", reads_region.instance_group, rds, name
            )
            for name in sorted(filter(reads_region.is_own_group, groups), key=str)
        },
        classes={
            name: ask(
                "instance-class",
                target,
                "rds",
                reads_region.storage_types,
                rds,
                new.engine_version,
                name,
            )
            for name in sorted({each.instance_class for each in new.instances})
            if known_version and "instance_class" not in made.gaps
        },
        quotas_elsewhere={
            (account, request.source_region): ask(
                "quotas",
                first.source if account == request.source_account_id else target,
                "rds",
                reads.quotas,
                sessions.rds_clients(request)(account, request.source_region),
                courtesy=True,
            )
            for account in _stations(first, snapshot)
        },
    )


def _stations(first: First, snapshot: Snapshot | None) -> list[str]:
    """Return the accounts that get an intermediate copy in the source Region, as far as told."""
    request = first.request
    if not first.abroad:
        return []
    unshareable = snapshot is not None and snapshot.type in UNSHAREABLE
    at_source = first.own and (unshareable or request.source_kms_key_id is not None)
    hops = request.copy_route == "two-hops" and request.source_region != request.target_region
    return [request.source_account_id] * at_source + [request.target_account_id] * hops


def _roles(
    request: RestoreRequest, target: Place, reader: Reader
) -> tuple[list[tuple[str, DatabaseRole]], Answer[Sequence[DatabaseRole]] | None]:
    """Return each declared role with the field of its secret; and the role file, if one is named.

    The file is waited for: what it declares is looked at like the rest.
    """
    declared = [(f"roles.{number}.secret_id", role) for number, role in enumerate(request.roles)]
    if request.roles_file is None:
        return declared, None
    name = request.roles_file
    answer = reader.ask(
        "role-file",
        _keeper_of(name, target),
        "s3",
        lambda: planned_files.parse_roles(planned_files.read(request, name)),
    )
    try:
        found = answer.get()
    except Unknown:
        found = []  # told by the check of that file
    return declared + [(f"role {role.name} secret_id", role) for role in found], answer


def _keeper_of(name: str, target: Place) -> Place | None:
    """Return as whom a file is read; nobody for one of the image."""
    return target if name.startswith("s3:") else None


def _script(request: RestoreRequest, name: str) -> TextFile:
    return planned_files.check_script(planned_files.read(request, name))


def _has_password(keeper: "SecretsManagerClient", role: DatabaseRole, field: str) -> str:
    """Return how the role's secret is; its content goes no further."""
    secret_id = str(role.secret_id)
    try:
        get_password(keeper, secret_id, field)
    except NotFound:
        if not role.make_secret or secret_id.startswith("arn:"):
            raise
        return "it will be made"
    return "it holds a password"


def _has_master_password(keeper: "SecretsManagerClient", secret_id: str) -> str:
    get_master_password(keeper, secret_id)
    return "it holds a password"


def _hop_key(request: RestoreRequest, target: Place, reader: Reader) -> Answer[Key] | None:
    if request.hop_kms_key_id is None:
        return None
    kms = sessions.target_client("kms", request.source_region)
    key_id = request.hop_kms_key_id
    return reader.ask(
        "hop-key",
        target,
        "kms",
        lambda: read_key(kms, key_id, target.identity.get(), f"hop_kms_key_id {key_id}"),
    )


def _shared_key(  # noqa: PLR0913 - where from, whose, what for
    request: RestoreRequest,
    target: Place,
    reader: Reader,
    field: str,
    key_id: str | None,
    *,
    own: bool,
) -> Answer[SharedKey] | None:
    """Read a key of the source account, as the target account sees it."""
    if key_id is None:
        return None
    kms = sessions.target_client("kms", request.source_region)
    abroad = request.source_account_id != request.target_account_id
    source = sessions.source_client("kms", request) if own and abroad else None
    owner = "source-copy-key" if field == "source_kms_key_id" else field
    resource = f"{field} {key_id}" if field == "source_kms_key_id" else f"snapshot's key {key_id}"
    return reader.ask(
        owner,
        target,
        "kms",
        lambda: read_shared_key(kms, source, key_id, target.identity.get(), resource),
    )
