"""What a request leaves out is taken from the cluster being replaced."""

from typing import Any

from aurora_restore.errors import Refused
from aurora_restore.rds import names
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint, Serverless
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.request import SERVERLESS, RestoreRequest

# Request field -> blueprint field, where the two mean the same.
_SAME = {
    "port": "port",
    "db_subnet_group_name": "subnet_group",
    "security_group_ids": "security_group_ids",
    "cluster_parameter_group": "cluster_parameter_group",
    "storage_type": "storage_type",
    "backup_retention_days": "backup_retention_days",
    "iam_authentication": "iam_authentication",
    "deletion_protection": "deletion_protection",
    "log_exports": "log_exports",
}
_DEFAULTS = {"port": 5432, "log_exports": ["postgresql"]}
_NETWORK = ("db_subnet_group_name", "security_group_ids")


def missing_fields(
    request: RestoreRequest, old: Blueprint | None, snapshot: Snapshot | None
) -> list[str]:
    """Return the request's fields that must be given since there is nothing to inherit them from.

    `snapshot` None: it is not known whether a key is needed.
    """
    needed = [] if old is not None else list(_NETWORK)
    if old is None or not old.instances:
        needed.append("instance_class")
    missing = [field for field in needed if getattr(request, field) is None]
    encrypted = snapshot is not None and snapshot.encrypted
    if encrypted and request.kms_key_id is None and (old is None or old.kms_key_id is None):
        missing.append("kms_key_id")
    serverless = request.instance_class == SERVERLESS and request.serverless_max_acu is None
    if serverless and (old is None or old.serverless is None):
        missing += ["serverless_min_acu", "serverless_max_acu"]
    return missing


def resolve(
    request: RestoreRequest, old: Blueprint | None, snapshot: Snapshot, operation_id: str
) -> Blueprint:
    """Return what the new cluster is made by: the request, else the old cluster, else a default.

    Instances are never publicly accessible, whatever the old ones were.

    Raises:
        Refused: a field is needed and there is nothing to inherit it from; names each.
    """
    if missing := missing_fields(request, old, snapshot):
        raise Refused(
            ", ".join(missing),
            f"not given, and there is no cluster {request.replaced_cluster_id!r} to inherit from"
            if old is None
            else f"not given, and cluster {old.cluster_id!r} has none to inherit",
            "Give a value.",
        )
    known: dict[str, Any] = {} if old is None else old.model_dump()
    for field, name in _SAME.items():
        if (value := getattr(request, field)) is not None:
            known[name] = value
        elif old is None and field in _DEFAULTS:
            known[name] = _DEFAULTS[field]
    known["cluster_id"] = (
        request.target_cluster_id if old is None else names.new_cluster_name(request, operation_id)
    )
    known["engine_version"] = _version(request, old, snapshot)
    known["kms_key_id"] = (
        (request.kms_key_id or known.get("kms_key_id")) if (snapshot.encrypted) else None
    )
    known["serverless"] = _serverless(request, old)
    known["instances"] = _instances(request, old, operation_id)
    known["managed_password"] = request.master_secret_id is None
    return Blueprint.model_validate(known)


def _version(request: RestoreRequest, old: Blueprint | None, snapshot: Snapshot) -> str:
    """The request's, else the newer of the snapshot's and the old cluster's minor version.

    A snapshot is never restored as an older version, and not as another major one by itself.
    """
    if request.engine_version is not None:
        return request.engine_version
    if old is None or _major(old.engine_version) != _major(snapshot.engine_version):
        return snapshot.engine_version
    return max(old.engine_version, snapshot.engine_version, key=_sortable)


def _major(version: str) -> str:
    return version.partition(".")[0]


def _sortable(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _serverless(request: RestoreRequest, old: Blueprint | None) -> Serverless | None:
    inherited = old.serverless if old is not None else None
    if request.instance_class not in {None, SERVERLESS}:
        return None
    if request.serverless_min_acu is not None and request.serverless_max_acu is not None:
        pause = inherited.pause_after_seconds if inherited else None
        return Serverless(
            min_acu=request.serverless_min_acu,
            max_acu=request.serverless_max_acu,
            pause_after_seconds=pause if request.serverless_min_acu == 0 else None,
        )
    return inherited


def _instances(
    request: RestoreRequest, old: Blueprint | None, operation_id: str
) -> list[InstanceBlueprint]:
    """The old cluster's instances one by one, the last of them repeated for further readers."""
    before = list(old.instances) if old is not None else []
    readers = request.reader_count
    count = readers + 1 if readers is not None else max(len(before), 1)
    in_place = request.replace == "delete-first" and (
        request.replaced_cluster_id == request.target_cluster_id
    )
    alone = None if old is None or request.replace == "delete-first" else operation_id
    fresh = names.instance_names(request.target_cluster_id, alone, count)
    made = []
    for number in range(count):
        base = before[min(number, len(before) - 1)] if before else None
        kept = base is not None and in_place and number < len(before)
        known: dict[str, Any] = {} if base is None else base.model_dump()
        known |= {
            "id": known["id"] if kept else fresh[number],
            "publicly_accessible": False,
            "promotion_tier": known.get("promotion_tier", min(number, 15)),
        }
        if request.instance_class is not None:
            known["instance_class"] = request.instance_class
        if request.instance_parameter_group is not None:
            known["parameter_group"] = request.instance_parameter_group
        made.append(InstanceBlueprint.model_validate(known))
    return _distinct(made, fresh)


def _distinct(instances: list[InstanceBlueprint], fresh: list[str]) -> list[InstanceBlueprint]:
    """No two of the same name: an added reader's may be one that the old cluster used."""
    taken: set[str] = set()
    made = []
    for number, each in enumerate(instances):
        free = next(n for n in [each.id, *fresh, f"{fresh[-1]}-{number}"] if n not in taken)
        taken.add(free)
        made.append(each.model_copy(update={"id": free}))
    return made


def differences(new: Blueprint, old: Blueprint) -> list[tuple[str, str, str]]:
    """Return what of the new cluster differs from the old one: field, old value, new value."""
    found = []
    for field in Blueprint.model_fields:
        if field in {"cluster_id", "instances", "managed_password_key"}:
            continue
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            found.append((field, _text(before), _text(after)))
    for number in range(max(len(old.instances), len(new.instances))):
        role = "writer" if number == 0 else f"reader {number}"
        before_ = old.instances[number] if number < len(old.instances) else None
        after_ = new.instances[number] if number < len(new.instances) else None
        if before_ is None or after_ is None:
            found.append((role, _instance(before_), _instance(after_)))
            continue
        for field in InstanceBlueprint.model_fields:
            left, right = getattr(before_, field), getattr(after_, field)
            if left != right and field != "id":
                found.append((f"{role}: {field}", _text(left), _text(right)))
    return found


def _instance(each: InstanceBlueprint | None) -> str:
    return "none" if each is None else each.instance_class


def _text(value: object) -> str:
    match value:
        case None | [] | {}:
            return "none"
        case list():
            return ", ".join(map(str, value))
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
