"""The way of a copy: a decision table, in which every combination has exactly one row."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request

from aurora_restore.errors import Refused
from aurora_restore.rds.names import PLACEHOLDER, copy_names, hop_copy_name, source_copy_name
from aurora_restore.rds.route import Hop, Route, plan_route
from aurora_restore.rds.snapshots import Snapshot

ACCOUNTS = {SOURCE_ACCOUNT: "source", TARGET_ACCOUNT: "target"}
PLACES = {  # source account, source Region; the target is account "target", Region us-west-2
    "same place": (TARGET_ACCOUNT, "us-west-2"),
    "other Region": (TARGET_ACCOUNT, "us-east-1"),
    "other account": (SOURCE_ACCOUNT, "us-west-2"),
    "both": (SOURCE_ACCOUNT, "us-east-1"),
}
KEYS = {"source_kms_key_id": "source-key", "hop_kms_key_id": "hop-key", "kms_key_id": "target-key"}


@dataclass(frozen=True)
class Case:
    place: str
    type: str
    key: str
    own: bool
    shared: bool
    copy_route: str


CASES = [
    Case(*each)
    for each in product(
        PLACES,
        ("manual", "automated"),
        ("unencrypted", "custom", "default"),
        (True, False),
        (True, False),
        ("one-step", "two-hops"),
    )
]

# {target}, {hop}: the key of the copy, "-" for an unencrypted snapshot or to keep the source's.
COPY = "copy target/us-west-2 {target}"
HOP = "hop target/us-east-1 {hop}"
AT_HOME, ABROAD = "source copy source/us-west-2 ", "source copy source/us-east-1 "
LENT, OFFERED = " shared", " shared+withdrawn"
ALL: tuple[Any, ...] = ("manual", "automated")
ANY = (True, False)
KEPT = ("unencrypted", "custom")
EVERY_KEY = (*KEPT, "default")
EVERY_ROUTE = ("one-step", "two-hops")
ONE, TWO = ("one-step",), ("two-hops",)
M, A, D = ("manual",), ("automated",), ("default",)
OWN, NOT_OWN, SHARED, UNSHARED = (True,), (False,), (True,), (False,)
ROLE = "refused: snapshot_id"

# place, types, keys, own, shared, copy_route: hops | otherwise
TABLE: list[tuple[str, Any, Any, Any, Any, Any, str]] = [
    ("same place", ALL, EVERY_KEY, ANY, ANY, EVERY_ROUTE, f"same-region: {COPY}"),
    ("other Region", ALL, EVERY_KEY, ANY, ANY, EVERY_ROUTE, f"same-account: {COPY}"),
    ("other account", M, KEPT, OWN, SHARED, EVERY_ROUTE, f"same-region: {COPY}{LENT}"),
    ("other account", M, KEPT, OWN, UNSHARED, EVERY_ROUTE, f"same-region: {COPY}{OFFERED}"),
    ("other account", M, KEPT, NOT_OWN, SHARED, EVERY_ROUTE, f"same-region: {COPY}"),
    ("other account", M, KEPT, NOT_OWN, UNSHARED, EVERY_ROUTE, ROLE),
    ("other account", M, D, NOT_OWN, ANY, EVERY_ROUTE, ROLE),
    ("other account", A, EVERY_KEY, NOT_OWN, ANY, EVERY_ROUTE, ROLE),
    (
        *("other account", M, D, OWN, ANY, EVERY_ROUTE),
        f"same-region: {AT_HOME}source-key, {COPY}{OFFERED}",
    ),
    (
        *("other account", A, KEPT, OWN, ANY, EVERY_ROUTE),
        f"same-region: {AT_HOME}-, {COPY}{OFFERED}",
    ),
    (
        *("other account", A, D, OWN, ANY, EVERY_ROUTE),
        f"same-region: {AT_HOME}source-key, {COPY}{OFFERED}",
    ),
    ("both", M, KEPT, OWN, SHARED, ONE, f"one-step: {COPY}{LENT} | {HOP}{LENT}, {COPY}"),
    ("both", M, KEPT, OWN, UNSHARED, ONE, f"one-step: {COPY}{OFFERED} | {HOP}{OFFERED}, {COPY}"),
    ("both", M, KEPT, NOT_OWN, SHARED, ONE, f"one-step: {COPY} | {HOP}, {COPY}"),
    ("both", M, KEPT, OWN, SHARED, TWO, f"two-hops: {HOP}{LENT}, {COPY}"),
    ("both", M, KEPT, OWN, UNSHARED, TWO, f"two-hops: {HOP}{OFFERED}, {COPY}"),
    ("both", M, KEPT, NOT_OWN, SHARED, TWO, f"two-hops: {HOP}, {COPY}"),
    ("both", M, KEPT, NOT_OWN, UNSHARED, EVERY_ROUTE, ROLE),
    ("both", M, D, NOT_OWN, ANY, EVERY_ROUTE, ROLE),
    ("both", A, EVERY_KEY, NOT_OWN, ANY, EVERY_ROUTE, ROLE),
    (
        *("both", M, D, OWN, ANY, ONE),
        f"one-step: {ABROAD}source-key, {COPY}{OFFERED} | {HOP}{OFFERED}, {COPY}",
    ),
    (
        *("both", A, KEPT, OWN, ANY, ONE),
        f"one-step: {ABROAD}-, {COPY}{OFFERED} | {HOP}{OFFERED}, {COPY}",
    ),
    (
        *("both", A, D, OWN, ANY, ONE),
        f"one-step: {ABROAD}source-key, {COPY}{OFFERED} | {HOP}{OFFERED}, {COPY}",
    ),
    ("both", M, D, OWN, ANY, TWO, f"two-hops: {ABROAD}source-key, {HOP}{OFFERED}, {COPY}"),
    ("both", A, KEPT, OWN, ANY, TWO, f"two-hops: {ABROAD}-, {HOP}{OFFERED}, {COPY}"),
    ("both", A, D, OWN, ANY, TWO, f"two-hops: {ABROAD}source-key, {HOP}{OFFERED}, {COPY}"),
]


def snapshot(case: Case) -> Snapshot:
    account, region = PLACES[case.place]
    name = "rds:production-2024-03-20-02-00" if case.type == "automated" else "daily"
    arn = f"arn:aws:rds:{region}:{account}:cluster-snapshot:{name}"
    return Snapshot(
        # AWS names a shared snapshot by its ARN.
        id=name if case.own else arn,
        arn=arn,
        status="available",
        type=case.type,
        engine="aurora-postgresql",
        engine_version="16.14",
        master_username="postgres",
        cluster_id="production",
        encrypted=case.key != "unencrypted",
        percent=100,
        created_at=None,
    )


def planned(case: Case, operation_id: str = "op-001", **changes: Any) -> Route:
    account, region = PLACES[case.place]
    encrypted = case.key != "unencrypted"
    keys = KEYS if encrypted else KEYS | {"kms_key_id": None}
    asked = {
        "source_account_id": account,
        "source_region": region,
        "copy_route": case.copy_route,
    }
    given = request(**(asked | keys | changes))
    return plan_route(
        given,
        snapshot(case),
        own=case.own,
        shared=case.shared,
        default_key=case.key == "default",
        operation_id=operation_id,
        target_key="target-key" if encrypted else None,
    )


def written(hop: Hop) -> str:
    kind = {"-share-op001": "source copy", "-hop-op001": "hop"}.get(
        next((tail for tail in ("-share-op001", "-hop-op001") if hop.names[0].endswith(tail)), ""),
        "copy",
    )
    lent = {(False, False): "", (True, False): LENT, (True, True): OFFERED}
    place = f"{ACCOUNTS[hop.account]}/{hop.region}"
    return f"{kind} {place} {hop.kms_key_id or '-'}{lent[hop.share, hop.withdraw]}"


def rows(case: Case) -> list[str]:
    """Return what the table says of a case."""
    keys = {"target": "target-key", "hop": "hop-key"}
    if case.key == "unencrypted":
        keys = dict.fromkeys(keys, "-")
    return [
        text.format(**keys)
        for place, types, all_keys, own, shared, ways, text in TABLE
        if place == case.place
        and case.type in types
        and case.key in all_keys
        and case.own in own
        and case.shared in shared
        and case.copy_route in ways
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_route_is_the_tables(case: Case) -> None:
    """
    Each combination has one row in the table, and goes the way that the row says.
    """
    try:
        route = planned(case)
        found = f"{route.kind}: " + ", ".join(map(written, route.hops))
        if route.otherwise:
            found += " | " + ", ".join(map(written, route.otherwise))
    except Refused as refused:
        found = "refused: " + refused.resource.split()[0]

    assert [found] == rows(case)


@pytest.mark.parametrize("case", [case for case in CASES if ROLE not in rows(case)], ids=str)
def test_each_hop_starts_where_the_one_before_it_ended(case: Case) -> None:
    """
    The hops lead from the snapshot to the target, by whichever way; the copies' names are ours.
    """
    source = snapshot(case)
    name = source.arn.rsplit(":cluster-snapshot:", 1)[1]
    route = planned(case)

    for hops in (route.hops, [*route.hops[:-1], *route.otherwise]):
        for before, after in zip([None, *hops], hops, strict=False):
            assert after.source_arn == (source.arn if before is None else before.arn)
    ways = [route.hops[-1], *route.otherwise[-1:]]
    assert {tuple(hop.names) for hop in ways} == {tuple(copy_names(request(), "op-001", name))}
    between = [*route.hops[:-1], *route.otherwise[:-1]]
    assert {hop.names[0] for hop in between} <= {
        source_copy_name(name, "op-001"),
        hop_copy_name(name, "op-001"),
    }
    assert all(hop.why for hop in between)
    assert not any(hop.why for hop in ways)


CROSS = Case("both", "manual", "custom", own=True, shared=False, copy_route="one-step")
DEFAULT = Case("both", "manual", "default", own=True, shared=False, copy_route="one-step")
PLAIN = Case("both", "manual", "unencrypted", own=True, shared=False, copy_route="one-step")
AUTOMATED = Case("both", "automated", "custom", own=False, shared=False, copy_route="one-step")
HIDDEN = Case("both", "manual", "custom", own=False, shared=False, copy_route="one-step")
TWO_HOPS = Case("both", "manual", "custom", own=True, shared=False, copy_route="two-hops")


@pytest.mark.parametrize(
    ("case", "changes", "said"),
    [
        (
            DEFAULT,
            {"source_kms_key_id": None},
            (
                "source_kms_key_id: snapshot daily is under the default key aws/rds, which cannot "
                "be shared with another account. Give a KMS key of account 123456789012 in Region "
                "us-east-1 that account 987654321098 may use."
            ),
        ),
        (
            TWO_HOPS,
            {"hop_kms_key_id": None},
            (
                "hop_kms_key_id: snapshot daily is encrypted, copy_route is two-hops, and no key "
                "is given for the copy in Region us-east-1. Give a KMS key of account "
                "987654321098 in that Region, or set copy_route to one-step."
            ),
        ),
        (
            AUTOMATED,
            {},
            (
                "snapshot_id rds:production-2024-03-20-02-00: an automated snapshot cannot be "
                "shared with another account, and there is no role to copy it in account "
                "123456789012. Set AURORA_RESTORE_SOURCE_ROLE_ARN, or make a manual copy of it "
                "there, under a key of your own, share that and name it."
            ),
        ),
        (
            HIDDEN,
            {},
            (
                "snapshot_id daily: it is not shared with account 987654321098, and there is no "
                "role to share it in account 123456789012. Share it, or set "
                "AURORA_RESTORE_SOURCE_ROLE_ARN."
            ),
        ),
        (
            PLAIN,
            {"kms_key_id": "alias/aurora-target"},
            (
                "kms_key_id: snapshot daily is not encrypted, and AWS does not encrypt it by "
                "copying. Leave kms_key_id out, or name an encrypted snapshot."
            ),
        ),
    ],
    ids=["source key", "hop key", "automated", "not shared", "unencrypted"],
)
def test_what_is_missing_is_told(case: Case, changes: dict[str, Any], said: str) -> None:
    """
    A way that cannot be gone is refused with what to give or to set.
    """
    with pytest.raises(Refused) as refused:
        planned(case, **changes)

    assert str(refused.value) == said


def test_encrypted_snapshot_needs_a_key_for_its_copy() -> None:
    """
    Neither the request nor the old cluster names a key: the copy could not be made.
    """
    with pytest.raises(Refused) as refused:
        plan_route(
            request(kms_key_id=None),
            snapshot(CROSS),
            own=True,
            shared=False,
            default_key=False,
            operation_id="op-001",
            target_key=None,
        )

    assert str(refused.value) == (
        "kms_key_id: snapshot daily is encrypted and no key is given for its copy. Give a KMS key "
        "of the target account and Region."
    )


@pytest.mark.parametrize(("case", "way_out"), [(CROSS, 0), (PLAIN, 2)], ids=["encrypted", "not"])
def test_single_step_has_a_way_out_only_with_a_key(case: Case, way_out: int) -> None:
    """
    Without a key for the hop only an unencrypted snapshot can go in two hops should AWS refuse.
    """
    assert len(planned(case, hop_kms_key_id=None).otherwise) == way_out


def test_copy_may_be_made_by_an_inherited_key() -> None:
    """
    The last copy is under the key that was resolved, whatever the request leaves out.
    """
    assert planned(CROSS, kms_key_id=None).hops[-1].kms_key_id == "target-key"


def test_keys_are_named_by_their_fields() -> None:
    """
    Each copy knows the field of the request that names its key.
    """
    route = planned(DEFAULT, copy_route="two-hops")

    assert [(hop.key_field, hop.kms_key_id) for hop in route.hops] == list(KEYS.items())


@pytest.mark.parametrize("type_", ["automated", "awsbackup"])
def test_why_a_copy_at_the_source_is_made_is_told(type_: str) -> None:
    """
    A plan's reader learns why the snapshot itself is not shared.
    """
    case = Case("both", type_, "default", own=True, shared=False, copy_route="two-hops")

    assert [hop.why for hop in planned(case).hops] == [
        f"an {type_} snapshot under the default key aws/rds cannot be shared with another account",
        "copy_route is two-hops",
        "",
    ]


def test_requested_name_is_the_last_copys_alone() -> None:
    """
    target_snapshot names the copy that stays; the intermediate ones have names of their own.
    """
    route = planned(DEFAULT, target_snapshot="mine", copy_route="two-hops")

    assert [hop.names for hop in route.hops] == [
        ["daily-share-op001"],
        ["daily-hop-op001"],
        ["mine"],
    ]


def test_routes_of_two_runs_compare() -> None:
    """
    A plan without an operation has the placeholder in its names, the same each time.
    """
    first, second = (planned(DEFAULT, operation_id=PLACEHOLDER) for _ in range(2))

    assert first == second
    assert first.hops[0].names == [f"daily-share-{PLACEHOLDER}"]


def test_route_survives_the_records() -> None:
    """
    A resumed run reads the same route from the plan that was kept.
    """
    route = planned(DEFAULT)

    assert Route.model_validate_json(route.model_dump_json()) == route


def test_copy_stays_in_its_partition() -> None:
    """
    The intermediate copy's ARN is of the source's own partition.
    """
    hop = Hop(
        account=TARGET_ACCOUNT,
        region="us-gov-west-1",
        source_arn=f"arn:aws-us-gov:rds:us-gov-east-1:{SOURCE_ACCOUNT}:cluster-snapshot:rds:a-1",
        names=["b"],
        kms_key_id=None,
    )

    assert hop.arn == f"arn:aws-us-gov:rds:us-gov-west-1:{TARGET_ACCOUNT}:cluster-snapshot:b"
    assert (hop.source_account, hop.source_region) == (SOURCE_ACCOUNT, "us-gov-east-1")
    assert hop.source_name == "rds:a-1"
    assert hop.is_single_step
