"""The copy of a snapshot: every way it can go, each step safe to repeat, nothing left behind."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request
from product_fixtures import calls, changes

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import copying, sharing, tags
from aurora_restore.rds.hopping import SharedNoMore
from aurora_restore.rds.route import Route, plan_route
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import rds_clients, source_client
from sandbox import Sandbox
from sandbox.faults import Fault

T = TypeVar("T")
MARKS = tags.marks("op-001", "staging")
BETWEEN = MARKS | {tags.INTERMEDIATE: "true"}
FOREIGN = tags.marks("op-000", "staging")
DAILY = "daily-backup-2024-03-20"
NAMES = [f"{DAILY}-copy", f"{DAILY}-copy-op001"]
SHARE, HOP = f"{DAILY}-share-op001", f"{DAILY}-hop-op001"
COPY, MODIFY = "CopyDBClusterSnapshot", "ModifyDBClusterSnapshotAttribute"
HOME, ABROAD = "us-east-1", "us-west-2"
PLACES = [(SOURCE_ACCOUNT, HOME), (TARGET_ACCOUNT, HOME), (TARGET_ACCOUNT, ABROAD)]
HOUR = 3600


class Journey:
    """One operation's copy: its route and its clients, as the steps have them."""

    def __init__(self, aws: Sandbox, given: RestoreRequest, snapshot: Snapshot, **facts: Any):
        self.aws, self.request, self.source = aws, given, snapshot
        self.clients = rds_clients(given)
        known = {"own": True, "shared": False, "default_key": False} | facts
        self.route = plan_route(
            given,
            snapshot,
            **known,
            operation_id="op-001",
            target_key=given.kms_key_id if snapshot.encrypted else None,
        )

    def follow(self) -> Snapshot:
        # As a resumed run does, which has the route from the records.
        self.route = Route.model_validate_json(self.route.model_dump_json())
        return copying.follow(self.route, self.clients, MARKS)

    def require_copied(self) -> Snapshot:
        last = self.route.hops[-1]
        return copying.require_copied(self.clients(last.account, last.region), self.follow().id)

    def tidy(self) -> list[str]:
        return copying.tidy(self.route, self.clients, MARKS)

    def at(self, place: tuple[str, str], name: str) -> Snapshot | None:
        return find_snapshot(self.clients(*place), name)


@pytest.fixture
def daily(account: Sandbox) -> Callable[..., Journey]:
    """Plan the copy of the daily snapshot, which is manual and under a key of its account."""

    def planned(**asked: Any) -> Journey:
        facts = {name: asked.pop(name) for name in ("own", "shared") if name in asked}
        given = request(**({"hop_kms_key_id": "alias/aurora-target"} | asked))
        found = find_snapshot(source_client("rds", given), account.facts["snapshot_arn"])
        assert found is not None
        return Journey(account, given, found, **facts)

    return planned


@pytest.fixture
def share(account: Sandbox, source_admin: Any) -> Callable[..., None]:
    """Share the daily snapshot, as somebody else may."""

    def shared(*accounts: str) -> None:
        source_admin.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=DAILY,
            AttributeName="restore",
            ValuesToAdd=list(accounts),
        )

    return shared


@pytest.fixture
def take(account: Sandbox, admin: Any) -> Callable[..., None]:
    """Make an available snapshot of staging, with these tags."""

    def taken(name: str, marks: dict[str, str]) -> None:
        admin.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier="staging",
            Tags=tags.to_api(marks),
        )
        account.advance(HOUR)

    return taken


def waited(aws: Sandbox, look: Callable[[], T]) -> T:
    """Return what `look` returns once it is ready."""
    for _ in range(20):
        try:
            return look()
        except NotReady:
            aws.advance(600)
    pytest.fail("never ready")


def manual(aws: Sandbox) -> set[tuple[str, str, str]]:
    """Return every manual snapshot: account, Region, name."""
    return {
        (*place, each["DBClusterSnapshotIdentifier"])
        for place in PLACES
        for each in aws.client("rds", *place).describe_db_cluster_snapshots(SnapshotType="manual")[
            "DBClusterSnapshots"
        ]
    }


def shared_with(aws: Sandbox, snapshot: Snapshot) -> set[str]:
    """Return the accounts that may copy a snapshot."""
    _, _, _, region, account, _, name = snapshot.arn.split(":", 6)
    shown = aws.client("rds", account, region).describe_db_cluster_snapshot_attributes(
        DBClusterSnapshotIdentifier=name
    )["DBClusterSnapshotAttributesResult"]
    [attribute] = shown["DBClusterSnapshotAttributes"]
    return set(attribute["AttributeValues"])


def copies(aws: Sandbox) -> list[tuple[str, str, str]]:
    """Return the copies that were asked for: account, Region, name."""
    return [
        (each["account"], each["region"], each["parameters"]["TargetDBClusterSnapshotIdentifier"])
        for each in calls(aws, COPY)
    ]


def source(aws: Sandbox, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a source snapshot; return what a request must say of it, and what is known of it."""
    rds = aws.client("rds", "source")
    key = aws.facts["source_key_arn"]
    if kind == "daily":
        return {}, {}
    if kind == "shared":
        rds.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=DAILY, AttributeName="restore", ValuesToAdd=[TARGET_ACCOUNT]
        )
        return {}, {"own": False, "shared": True}
    if kind == "automated":
        [found] = rds.describe_db_cluster_snapshots(
            DBClusterIdentifier="production", SnapshotType="automated"
        )["DBClusterSnapshots"]
        return {"snapshot_id": found["DBClusterSnapshotIdentifier"]}, {}
    encrypted = kind == "default-key"
    rds.create_db_cluster(
        DBClusterIdentifier=kind,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="correct-horse",
        StorageEncrypted=encrypted,
    )
    aws.advance(HOUR)
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=kind, DBClusterSnapshotIdentifier=DAILY + "x"
    )
    aws.advance(HOUR)
    asked = {"snapshot_id": DAILY + "x"}
    if encrypted:
        return asked | {"source_kms_key_id": key}, {"default_key": True}
    return asked | {"kms_key_id": None}, {}


ONE, TWO = "one-step", "two-hops"
WITHIN = {"source_account_id": TARGET_ACCOUNT, "target_cluster_id": "other"}
WAYS = [
    # source, what is asked for, hops
    ("daily", {}, 1),
    ("daily", {"copy_route": TWO}, 2),
    ("daily", {"target_region": HOME}, 1),
    ("shared", {}, 1),
    ("shared", {"copy_route": TWO}, 2),
    ("automated", {}, 2),
    ("automated", {"copy_route": TWO}, 3),
    ("automated", {"target_region": HOME}, 2),
    ("default-key", {}, 2),
    ("default-key", {"copy_route": TWO}, 3),
    ("default-key", {"target_region": HOME}, 2),
    ("unencrypted", {}, 1),
    ("unencrypted", {"copy_route": TWO}, 2),
]


@pytest.mark.parametrize(("kind", "asked", "hops"), WAYS, ids=str)
def test_copy_arrives_by_every_way(
    account: Sandbox, kind: str, asked: dict[str, Any], hops: int
) -> None:
    """
    Every kind of snapshot arrives in the target, and nothing else is different afterwards.
    """
    more, facts = source(account, kind)
    given = request(**({"hop_kms_key_id": "alias/aurora-target"} | asked | more))
    arn = f"arn:aws:rds:{HOME}:{SOURCE_ACCOUNT}:cluster-snapshot:{given.snapshot_id}"
    found = find_snapshot(account.client("rds", "source"), arn)
    assert found is not None
    before, lent = manual(account), shared_with(account, found)
    journey = Journey(account, given, found, **facts)

    copy = waited(account, journey.require_copied)
    removed = journey.tidy()

    assert len(journey.route.hops) == len(copies(account)) == hops
    assert len(removed) == hops - 1
    place = f"{given.target_region}:{TARGET_ACCOUNT}"
    assert copy.arn == f"arn:aws:rds:{place}:cluster-snapshot:{journey.route.hops[-1].names[0]}"
    assert (copy.status, copy.tags, copy.type) == ("available", MARKS, "manual")
    assert copy.encrypted == (kind != "unencrypted")
    assert manual(account) == before | {(TARGET_ACCOUNT, given.target_region, copy.id)}
    assert shared_with(account, found) == lent


@pytest.mark.parametrize(("region", "target"), [(ABROAD, ABROAD), (ABROAD, HOME)])
def test_copy_arrives_within_one_account(
    account: Sandbox, admin: Any, region: str, target: str
) -> None:
    """
    Within an account an automated snapshot is copied at once, and nothing is shared.
    """
    [shown] = admin.describe_db_cluster_snapshots(
        DBClusterIdentifier="staging", SnapshotType="automated"
    )["DBClusterSnapshots"]
    name = shown["DBClusterSnapshotIdentifier"]
    given = request(**WITHIN, source_region=region, target_region=target, snapshot_id=name)
    found = find_snapshot(admin, name)
    assert found is not None
    journey = Journey(account, given, found)

    copy = waited(account, journey.require_copied)

    assert (copy.status, copy.tags) == ("available", MARKS)
    assert copy.arn.split(":")[3:5] == [target, TARGET_ACCOUNT]
    assert journey.tidy() == []
    assert changes(account) == [COPY]


def test_copy_is_requested_with_our_marks(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    The copy is made by the target, from the full ARN, under the target's key, with our tags only.
    """
    copy = daily().follow()

    [call] = calls(account, COPY)
    assert call["parameters"] == {
        "SourceDBClusterSnapshotIdentifier": account.facts["snapshot_arn"],
        "TargetDBClusterSnapshotIdentifier": NAMES[0],
        "KmsKeyId": "alias/aurora-target",
        "CopyTags": False,
        "Tags": tags.to_api(MARKS),
    }
    assert (call["account"], call["region"]) == (TARGET_ACCOUNT, ABROAD)
    assert (copy.id, copy.status) == (NAMES[0], "copying")
    assert changes(account) == [MODIFY, COPY]


def test_intermediate_copies_are_marked(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    An intermediate copy is under its own key and carries the mark by which it is removed.
    """
    journey = daily(copy_route=TWO)

    waited(account, journey.follow)

    first, second = calls(account, COPY)
    assert first["parameters"] == {
        "SourceDBClusterSnapshotIdentifier": account.facts["snapshot_arn"],
        "TargetDBClusterSnapshotIdentifier": HOP,
        "KmsKeyId": "alias/aurora-target",
        "CopyTags": False,
        "Tags": tags.to_api(BETWEEN),
    }
    assert (first["account"], first["region"]) == (TARGET_ACCOUNT, HOME)
    assert second["parameters"]["SourceDBClusterSnapshotIdentifier"] == (
        f"arn:aws:rds:{HOME}:{TARGET_ACCOUNT}:cluster-snapshot:{HOP}"
    )
    assert second["parameters"]["Tags"] == tags.to_api(MARKS)


def test_source_copy_keeps_the_snapshots_own_key(account: Sandbox) -> None:
    """
    A copy made only to be shared is made by the source account and names no key.
    """
    asked, _ = source(account, "automated")
    found = find_snapshot(account.client("rds", "source"), asked["snapshot_id"])
    assert found is not None

    with pytest.raises(NotReady):
        Journey(account, request(**asked), found).follow()

    [call] = calls(account, COPY)
    assert (call["account"], call["region"]) == (SOURCE_ACCOUNT, HOME)
    assert "KmsKeyId" not in call["parameters"]
    assert call["parameters"]["Tags"] == tags.to_api(BETWEEN)


def test_default_key_without_another_is_refused(account: Sandbox) -> None:
    """
    A snapshot under the default key is not even tried without a key to copy it under.
    """
    asked, facts = source(account, "default-key")
    found = find_snapshot(account.client("rds", "source"), asked["snapshot_id"])
    assert found is not None

    with pytest.raises(Refused, match=r"^source_kms_key_id: "):
        Journey(account, request(**asked | {"source_kms_key_id": None}), found, **facts)

    assert changes(account) == []


def test_intermediate_copy_is_waited_for(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    While an intermediate copy is under way nothing is requested anew, and its percentage is told.
    """
    journey = daily(copy_route=TWO)
    account.plant("copy-stuck", identifier=HOP)

    for _ in range(2):
        with pytest.raises(NotReady, match=f"^cluster snapshot {HOP}: status is 'copying'") as wait:
            journey.follow()

    assert wait.value.percent == 0
    assert copies(account) == [(TARGET_ACCOUNT, HOME, HOP)]


def test_percentage_is_of_all_intermediate_copies(account: Sandbox) -> None:
    """
    With two intermediate copies the first one done is half of the wait.
    """
    asked, _ = source(account, "automated")
    found = find_snapshot(account.client("rds", "source"), asked["snapshot_id"])
    assert found is not None
    given = request(**asked, copy_route=TWO, hop_kms_key_id="alias/aurora-target")
    journey = Journey(account, given, found)
    account.plant("copy-stuck", identifier="*-hop-op001")

    seen = []
    for _ in range(4):
        with pytest.raises(NotReady) as waiting:
            journey.follow()
        seen.append(waiting.value.percent)
        account.advance(HOUR)

    assert seen[-1] == 50


def test_failed_intermediate_copy_ends_it(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    An intermediate copy that failed is told, not repeated; once removed it is made again.
    """
    journey = daily(copy_route=TWO)
    account.plant("copy-failed", identifier=HOP)

    with pytest.raises(EndedBadly) as ended:
        waited(account, journey.follow)

    assert str(ended.value) == (
        f"cluster snapshot {HOP}: status is 'failed'. "
        "Read the resource's RDS events, remove it, then run again."
    )
    assert copies(account) == [(TARGET_ACCOUNT, HOME, HOP)]
    account.client("rds", "target", HOME).delete_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=HOP
    )
    assert waited(account, journey.require_copied).id == NAMES[0]


def test_resumed_run_goes_on_in_the_middle(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    A run that begins after the first of two hops adopts it and requests the second.
    """
    with pytest.raises(NotReady):
        daily(copy_route=TWO).follow()
    account.advance(HOUR)

    copy = daily(copy_route=TWO, shared=True).follow()

    assert copy.id == NAMES[0]
    assert copies(account) == [(TARGET_ACCOUNT, HOME, HOP), (TARGET_ACCOUNT, ABROAD, NAMES[0])]


def test_own_copy_is_adopted(
    account: Sandbox, daily: Callable[..., Journey], take: Callable[..., None]
) -> None:
    """
    A repeat finds the copy of its operation by the tag, under either name, and makes no other.
    """
    take(NAMES[1], MARKS)

    assert daily().follow().id == NAMES[1]
    assert changes(account) == []


def test_intermediate_copies_are_not_made_again_once_the_last_is_there(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    When the last copy exists the way to it does not matter any more.
    """
    journey = daily(copy_route=TWO)
    copy = waited(account, journey.require_copied)
    assert journey.tidy() == [HOP]

    assert journey.follow() == copy
    assert len(copies(account)) == 2


def test_copy_of_an_earlier_operation_keeps_its_name(
    daily: Callable[..., Journey], take: Callable[..., None]
) -> None:
    """
    When another operation's copy has the first name, this one takes its second.
    """
    take(NAMES[0], FOREIGN)

    assert daily().follow().id == NAMES[1]


def test_foreign_snapshot_of_the_requested_name_is_refused(
    account: Sandbox, daily: Callable[..., Journey], take: Callable[..., None]
) -> None:
    """
    A snapshot that is not ours is neither overwritten nor adopted, and nothing is shared for it.
    """
    take("mine", FOREIGN)

    with pytest.raises(Refused) as refused:
        daily(target_snapshot="mine").follow()

    assert str(refused.value) == (
        "cluster snapshot mine: a snapshot of this name exists and is not this operation's. "
        "Delete it, or give another target_snapshot."
    )
    assert changes(account) == []


def test_foreign_snapshot_of_an_intermediate_name_is_refused(
    account: Sandbox, daily: Callable[..., Journey], take: Callable[..., None]
) -> None:
    """
    Nor is one that has an intermediate copy's name.
    """
    take("own", FOREIGN)
    hop = account.client("rds", "target", HOME)
    hop.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=f"arn:aws:rds:{ABROAD}:{TARGET_ACCOUNT}"
        ":cluster-snapshot:own",
        TargetDBClusterSnapshotIdentifier=HOP,
        KmsKeyId="alias/aurora-target",
    )

    with pytest.raises(Refused) as refused:
        daily(copy_route=TWO).follow()

    assert str(refused.value) == (
        f"cluster snapshot {HOP}: a snapshot of this name exists and is not this operation's. "
        "Delete it, then run again."
    )
    assert changes(account) == []


def test_five_copies_in_flight_are_waited_for(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    The quota of copies in flight passes by itself: not ready, then copied.
    """
    account.plant("copies-in-flight")
    journey = daily()

    with pytest.raises(NotReady, match=f"^cluster snapshot {NAMES[0]}: five copies are in flight"):
        journey.follow()

    assert waited(account, journey.follow).id == NAMES[0]


def test_full_quota_of_snapshots_is_refused(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    The quota of manual snapshots does not pass by itself: it ends the step.
    """
    account.plant("snapshot-quota")

    with pytest.raises(Refused) as refused:
        daily().follow()

    assert str(refused.value) == (
        f"cluster snapshot {NAMES[0]}: the account's quota of manual snapshots is used up. "
        "Delete snapshots, or have the quota raised."
    )


def _advice(region: str, account: str, more: str = "") -> str:
    return (
        "the key cannot be used for the copy (KMSKeyNotAccessibleFault). Check that it exists and "
        f"is enabled in Region {region}, and that the policies of this key and of the source's key "
        f"admit the role that copies in account {account}.{more}"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {},
            "kms_key_id alias/aurora-target: "
            + _advice(ABROAD, TARGET_ACCOUNT, " If they do, set copy_route to two-hops."),
        ),
        (
            {"copy_route": TWO},
            "hop_kms_key_id alias/aurora-target: " + _advice(HOME, TARGET_ACCOUNT),
        ),
    ],
)
def test_key_that_is_not_admitted_is_refused(
    account: Sandbox, daily: Callable[..., Journey], asked: dict[str, Any], said: str
) -> None:
    """
    A key that may not be used is told with the field that names it.
    """
    account.plant("kms-denied")

    with pytest.raises(Refused) as refused:
        daily(**asked).follow()

    assert str(refused.value) == said


def test_missing_key_is_refused(daily: Callable[..., Journey]) -> None:
    """
    A key that does not exist is told with the field that names it.
    """
    with pytest.raises(Refused, match=r"^kms_key_id alias/none: the key cannot be used"):
        daily(kms_key_id="alias/none").follow()


def test_key_of_the_snapshot_itself_is_told_by_the_copys_name(account: Sandbox) -> None:
    """
    Where the copy keeps the snapshot's key, no field of the request is to blame.
    """
    asked, _ = source(account, "automated")
    found = find_snapshot(account.client("rds", "source"), asked["snapshot_id"])
    assert found is not None
    account.plant("kms-denied")
    journey = Journey(account, request(**asked), found)

    with pytest.raises(Refused) as refused:
        journey.follow()

    assert str(refused.value) == (
        f"cluster snapshot {journey.route.hops[0].names[0]}: " + _advice(HOME, SOURCE_ACCOUNT)
    )


@pytest.mark.parametrize(
    "code", ["InvalidDBClusterSnapshotStateFault", "InvalidDBClusterStateFault"]
)
def test_busy_source_is_waited_for(
    account: Sandbox, daily: Callable[..., Journey], code: str
) -> None:
    """
    A source snapshot that is in use just now is worth another look.
    """
    account.plant(Fault("rds", COPY, code, "in use"))
    journey = daily()

    with pytest.raises(
        NotReady, match=rf"^cluster snapshot {NAMES[0]}: it cannot be made yet \({code}\)"
    ):
        journey.follow()

    assert journey.follow().id == NAMES[0]


def test_copy_whose_reply_was_lost_is_adopted(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    botocore resends after a lost reply and is told that the copy exists: it is ours.
    """
    account.plant(Fault("rds", COPY, lose_reply=True))

    assert daily().follow().id == NAMES[0]
    assert [each["result"] for each in calls(account, COPY)] == [
        "ConnectionLost",
        "DBClusterSnapshotAlreadyExistsFault",
    ]


class Overtaken:
    """An RDS client before whose copy somebody else does something."""

    def __init__(self, rds: Any, before: Callable[[], None]):
        self._rds, self._before = rds, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rds, name)

    def copy_db_cluster_snapshot(self, **asked: Any) -> Any:
        self._before()
        return self._rds.copy_db_cluster_snapshot(**asked)


def test_copy_that_somebody_else_made_meanwhile_is_not_adopted(
    daily: Callable[..., Journey], take: Callable[..., None]
) -> None:
    """
    A name that was free a moment ago and is another's now is looked at again: a repeat takes the
    second name.
    """
    journey = daily()
    clients = journey.clients
    overtaken = Overtaken(clients(TARGET_ACCOUNT, ABROAD), lambda: take(NAMES[0], FOREIGN))
    journey.clients = lambda *place: overtaken if place[1] == ABROAD else clients(*place)

    with pytest.raises(NotReady, match=f"^cluster snapshot {NAMES[0]}: its name was taken"):
        journey.follow()

    journey.clients = clients
    assert journey.follow().id == NAMES[1]


def test_unshared_source_is_awss_own_error(daily: Callable[..., Journey]) -> None:
    """
    A copy of what is no longer shared, and cannot be shared by us, fails with what AWS says.
    """
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        daily(own=False, shared=True).follow()


def test_sharing_that_is_not_seen_yet_is_waited_for(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    Right after sharing AWS may not find the snapshot yet, whoever has shared it.
    """
    account.plant(Fault("rds", COPY, "DBClusterSnapshotNotFoundFault", "not found", times=2))
    journey = daily()

    with pytest.raises(NotReady, match="its source was shared just now; not seen yet"):
        journey.follow()
    with pytest.raises(NotReady, match="its source is shared by another operation; not seen yet"):
        journey.follow()

    assert journey.follow().id == NAMES[0]


def test_sharing_that_another_takes_back_meanwhile_is_renewed(
    account: Sandbox, daily: Callable[..., Journey], source_admin: Any
) -> None:
    """
    Another operation has its copy and takes its sharing back, between our look and our copy.
    """
    journey, clients = daily(), daily().clients
    sharing.ensure_shared(source_client("rds", request()), DAILY, TARGET_ACCOUNT)

    class Late:
        """The target's client, before whose copy the other one comes."""

        def __getattr__(self, name: str) -> Any:
            if name == "copy_db_cluster_snapshot":
                sharing.withdraw(source_client("rds", request()), DAILY, TARGET_ACCOUNT)
            return getattr(clients(TARGET_ACCOUNT, ABROAD), name)

    late = Late()
    journey.clients = lambda *place: late if place[1] == ABROAD else clients(*place)

    with pytest.raises(NotReady, match="not seen yet, or taken back"):
        journey.follow()

    journey.clients = clients
    assert journey.follow().id == NAMES[0]


def test_sharing_that_another_took_back_is_planned_anew(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    What was shared when the route was planned, and is not any more, is shared by a route that takes
    it back; not by the one in hand, which would leave it shared.
    """
    journey = daily(shared=True)

    with pytest.raises(SharedNoMore):
        journey.follow()

    assert changes(account) == []
    journey.route = journey.route.sharing_anew()
    assert waited(account, journey.require_copied).id == NAMES[0]
    journey.tidy()
    assert changes(account) == [MODIFY, COPY, MODIFY]
    found = find_snapshot(source_client("rds", request()), DAILY)
    assert found is not None
    assert shared_with(account, found) == set()


def test_snapshot_is_shared_once(account: Sandbox, source_admin: Any) -> None:
    """
    The snapshot is shared with the target account alone; a repeat changes nothing.
    """
    client = source_client("rds", request())

    added = [sharing.ensure_shared(client, DAILY, TARGET_ACCOUNT) for _ in range(2)]

    shown = source_admin.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=DAILY)
    [attribute] = shown["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
    assert added == [True, False]
    assert attribute == {"AttributeName": "restore", "AttributeValues": [TARGET_ACCOUNT]}
    assert changes(account) == [MODIFY]


def test_public_snapshot_is_shared_enough(account: Sandbox, source_admin: Any) -> None:
    """
    What everybody may copy needs no sharing with one account.
    """
    source(account, "unencrypted")
    source_admin.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=DAILY + "x", AttributeName="restore", ValuesToAdd=["all"]
    )

    assert not sharing.ensure_shared(source_client("rds", request()), DAILY + "x", TARGET_ACCOUNT)
    assert changes(account) == []


def test_sharing_is_taken_back_once(account: Sandbox, share: Callable[..., None]) -> None:
    """
    One account is taken out, the others stay; a repeat changes nothing, nor does a missing one.
    """
    share(TARGET_ACCOUNT, "111122223333")
    client = source_client("rds", request())

    taken = [sharing.withdraw(client, name, TARGET_ACCOUNT) for name in (DAILY, DAILY, "none")]

    found = find_snapshot(client, DAILY)
    assert found is not None
    assert taken == [True, False, False]
    assert shared_with(account, found) == {"111122223333"}
    assert changes(account) == [MODIFY]


def test_busy_snapshot_is_shared_and_taken_back_later(
    account: Sandbox, share: Callable[..., None]
) -> None:
    """
    A snapshot whose state forbids a change of its sharing is worth another look.
    """
    code = "InvalidDBClusterSnapshotStateFault"
    client = source_client("rds", request())

    account.plant(Fault("rds", MODIFY, code, "busy"))
    with pytest.raises(NotReady, match=f"^cluster snapshot {DAILY}: it cannot be shared yet"):
        sharing.ensure_shared(client, DAILY, TARGET_ACCOUNT)
    share(TARGET_ACCOUNT)
    account.plant(Fault("rds", MODIFY, code, "busy"))
    with pytest.raises(NotReady, match=f"^cluster snapshot {DAILY}: it is still shared"):
        sharing.withdraw(client, DAILY, TARGET_ACCOUNT)

    assert sharing.withdraw(client, DAILY, TARGET_ACCOUNT)


def test_snapshot_shared_with_too_many_is_refused(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    AWS's limit of accounts per snapshot does not pass by itself.
    """
    account.plant(Fault("rds", MODIFY, "SharedSnapshotQuotaExceeded", "too many"))

    with pytest.raises(Refused) as refused:
        daily().follow()

    assert str(refused.value) == (
        f"cluster snapshot {DAILY}: it is shared with too many accounts to be shared with "
        f"{TARGET_ACCOUNT} as well. Take back one that does not need it."
    )


def test_refused_single_step_goes_in_two_hops(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    When AWS refuses the single step the copy goes in two hops, and does not ask again.
    """
    account.plant("single-step-refused")
    before = manual(account)

    with pytest.raises(NotReady, match=f"^cluster snapshot {HOP}: "):
        daily().follow()
    copy = waited(account, daily(shared=True).require_copied)

    assert copy.id == NAMES[0]
    assert copies(account) == [
        (TARGET_ACCOUNT, ABROAD, NAMES[0]),
        (TARGET_ACCOUNT, HOME, HOP),
        (TARGET_ACCOUNT, ABROAD, NAMES[0]),
    ]
    assert daily().tidy() == [HOP]
    assert manual(account) == before | {(TARGET_ACCOUNT, ABROAD, NAMES[0])}


def test_refused_single_step_of_a_copy_at_the_source(account: Sandbox) -> None:
    """
    The two hops begin at the copy that was made to be shared, and both go in the end.
    """
    asked, facts = source(account, "default-key")
    found = find_snapshot(account.client("rds", "source"), asked["snapshot_id"])
    assert found is not None
    before = manual(account)
    given = request(**asked, hop_kms_key_id="alias/aurora-target")
    journey = Journey(account, given, found, **facts)
    account.plant("single-step-refused")

    copy = waited(account, journey.require_copied)

    assert sorted(journey.tidy()) == [f"{DAILY}x-hop-op001", f"{DAILY}x-share-op001"]
    assert manual(account) == before | {(TARGET_ACCOUNT, ABROAD, copy.id)}


def test_refused_single_step_without_another_way_is_told(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    Without a key for the hop the refusal ends the step and says which key to give.
    """
    account.plant("single-step-refused")

    with pytest.raises(Refused) as refused:
        daily(hop_kms_key_id=None).follow()

    assert str(refused.value) == (
        f"cluster snapshot {NAMES[0]}: AWS refuses to copy it across account and Region in a "
        f"single step. Give hop_kms_key_id, a KMS key of account {TARGET_ACCOUNT} in Region "
        f"{HOME}, for a copy in two hops."
    )
    assert isinstance(refused.value.__cause__, ClientError)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("InvalidParameterCombination", "Cross-Region copies of shared snapshots"),
        ("InvalidParameterValue", "Source is in another account and another Region"),
        ("InvalidDBClusterSnapshotStateFault", "Cannot copy a shared snapshot across Regions"),
    ],
)
def test_refusal_is_known_by_what_it_speaks_of(
    account: Sandbox, daily: Callable[..., Journey], code: str, text: str
) -> None:
    """
    AWS's words are not known: a refused parameter or state that names both is taken for it.
    """
    account.plant(Fault("rds", COPY, code, text))

    with pytest.raises(NotReady, match=f"^cluster snapshot {HOP}: "):
        daily().follow()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("InvalidParameterValue", "Must specify new KMS key for cross region encrypted snapshot"),
        ("InvalidParameterCombination", "The snapshot is shared"),
        ("AccessDenied", "not authorized in this account and Region"),
    ],
)
def test_other_refusals_are_awss_own_error(
    account: Sandbox, daily: Callable[..., Journey], code: str, text: str
) -> None:
    """
    What two hops would not help ends the step with what AWS says.
    """
    account.plant(Fault("rds", COPY, code, text))

    with pytest.raises(ClientError, match=text):
        daily().follow()

    assert len(copies(account)) == 1


def test_only_a_single_step_can_be_refused_as_one(
    account: Sandbox, daily: Callable[..., Journey]
) -> None:
    """
    Within one Region the same words mean something else.
    """
    text = "another account and another Region"
    account.plant(Fault("rds", COPY, "InvalidParameterCombination", text))

    with pytest.raises(ClientError, match=text):
        daily(target_region=HOME).follow()


def test_tidy_removes_only_what_is_ours(
    account: Sandbox,
    daily: Callable[..., Journey],
    take: Callable[..., None],
    share: Callable[..., None],
) -> None:
    """
    Others' intermediate copies, our own final copies and others' sharing stay.
    """
    take("of-another-operation", FOREIGN | {tags.INTERMEDIATE: "true"})
    take("final", MARKS | {tags.FINAL_OF: "staging"})
    take("stray", BETWEEN)
    share("111122223333")
    journey = daily(copy_route=TWO)
    waited(account, journey.require_copied)
    assert shared_with(account, journey.source) == {"111122223333", TARGET_ACCOUNT}

    removed = journey.tidy()

    assert sorted(removed) == [HOP, "stray"]
    kept = {name for _, _, name in manual(account)}
    assert kept == {DAILY, "of-another-operation", "final", NAMES[0]}
    assert shared_with(account, journey.source) == {"111122223333"}


def test_tidy_leaves_sharing_that_was_there(
    account: Sandbox, daily: Callable[..., Journey], share: Callable[..., None]
) -> None:
    """
    A snapshot that was shared before is shared afterwards.
    """
    share(TARGET_ACCOUNT)
    journey = daily(shared=True)
    waited(account, journey.require_copied)

    journey.tidy()

    assert shared_with(account, journey.source) == {TARGET_ACCOUNT}
    assert changes(account) == [COPY]


def test_tidy_is_safe_to_repeat(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    A second time there is nothing to do.
    """
    journey = daily(copy_route=TWO)
    waited(account, journey.require_copied)

    assert [journey.tidy(), journey.tidy()] == [[HOP], []]
    assert changes(account) == [MODIFY, COPY, COPY, "DeleteDBClusterSnapshot", MODIFY]


def test_tidy_disturbs_no_copy(account: Sandbox, daily: Callable[..., Journey], admin: Any) -> None:
    """
    As long as a copy is made from an intermediate one, that one stays.
    """
    journey = daily(copy_route=TWO)
    account.plant("copy-stuck", identifier=NAMES[0])
    waited(account, journey.follow)

    with pytest.raises(NotReady, match=f"^cluster snapshot {HOP}: a copy is still being made"):
        journey.tidy()

    assert journey.at((TARGET_ACCOUNT, HOME), HOP) is not None
    admin.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=NAMES[0])
    assert journey.tidy() == [HOP]


def test_tidy_takes_no_sharing_from_a_copy_under_way(
    account: Sandbox, daily: Callable[..., Journey], admin: Any
) -> None:
    """
    As long as anybody's copy is made from the shared snapshot in these places, it stays shared.
    """
    journey = daily()
    waited(account, journey.require_copied)
    account.plant("copy-stuck", identifier="another")
    admin.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=journey.source.arn,
        TargetDBClusterSnapshotIdentifier="another",
        KmsKeyId="alias/aurora-target",
    )

    with pytest.raises(NotReady, match=f"^cluster snapshot {DAILY}: a copy is still being made"):
        journey.tidy()

    assert shared_with(account, journey.source) == {TARGET_ACCOUNT}
    admin.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="another")
    assert journey.tidy() == []
    assert shared_with(account, journey.source) == set()


def test_copy_under_way_is_waited_for(account: Sandbox, daily: Callable[..., Journey]) -> None:
    """
    A copy that is still copying is not ready and tells its percentage.
    """
    account.plant("copy-stuck")
    journey = daily()

    with pytest.raises(NotReady, match="status is 'copying'") as waiting:
        journey.require_copied()

    assert waiting.value.percent == 0


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ("copy-failed", "status is 'failed'"),
        ("copy-vanished", "the copy has vanished while it was made"),
    ],
)
def test_copy_that_ended_badly_is_told(
    account: Sandbox, rds: Any, daily: Callable[..., Journey], failure: str, problem: str
) -> None:
    """
    A copy that failed or vanished ends the wait at once.
    """
    account.plant(failure)
    daily().follow()
    account.advance(HOUR)

    with pytest.raises(EndedBadly) as ended:
        copying.require_copied(rds, NAMES[0])

    assert str(ended.value) == (
        f"cluster snapshot {NAMES[0]}: {problem}. "
        "Read the resource's RDS events, remove it, then run again."
    )
