"""`aurora-restore cleanup` on the sandbox: exactly the leftovers go, and nothing that serves."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from leavings import FUTURE, HERE, NEAR, PAST, SOURCE, Leavings
from product_fixtures import calls, changes, forget_caches

from aurora_restore import leases, ledger, removal
from aurora_restore.cli import main
from aurora_restore.leases import Holder
from aurora_restore.rds import tags
from aurora_restore.survey import Scope, Survey, survey
from aurora_restore.table import Change
from sandbox import Sandbox
from sandbox.faults import Fault

READS = {"Query", "GetItem"}
NOW = ("--older-than", "0m")
TARGET = f"{HERE}/staging"
DAILY = "daily-backup-2024-03-20"
Cleanup = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def left(aws: Sandbox, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leavings]:
    """A sandbox without records of other tests, in which deletions are looked at often."""
    monkeypatch.setenv("AURORA_RESTORE_DELETE_POLL__AT_LEAST", "0.1")
    monkeypatch.setenv("AURORA_RESTORE_DELETE_POLL__AT_MOST", "0.1")
    monkeypatch.setenv("AURORA_RESTORE_DELETE_POLL__GIVE_UP_AFTER", "20")
    monkeypatch.setenv("AURORA_RESTORE_LEASE_SECONDS", "3")
    yield Leavings(account)
    assert leases._held_here == {}


@pytest.fixture
def cleanup(left: Leavings, capsys: Any) -> Cleanup:
    """Run the command; return its exit code and document."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main(["cleanup", *arguments, "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        document: dict[str, Any] = json.loads(out)
        assert document["exit_code"] == code
        return code, document

    return run


def told(document: dict[str, Any], part: str) -> dict[str, str]:
    """Return each item of a part of the answer: place and name, with the reason."""
    return {f"{e['place']}/{e['name']}": e["reason"] for e in document["result"][part]}


def results(document: dict[str, Any]) -> set[str]:
    return {each["result"] for each in document["result"]["leftovers"]}


def test_exactly_the_leftovers_go(left: Leavings, cleanup: Cleanup) -> None:
    """
    Of everything a refresh may leave only what nobody needs is removed, in both accounts; the dry
    run says the same before, and changes nothing.
    """
    left.serves("served")
    left.copied("two-hops")
    left.copied("broken", failed=True, copy_route="one-step", source_kms_key_id=None)
    left.beside("beside", "staging-new-beside", deletion_protection=True)
    left.kept_old("kept-1", "staging-old-1", PAST)
    left.kept_old("kept-2", "staging-old-2", FUTURE)
    marks = tags.marks("beside", "staging")
    left.cluster("staging-back", marks | {tags.BROUGHT_BACK: "true"})
    left.cluster("nobodys", tags.marks("unheard-of", "staging"))
    left.cluster("half-marked", {tags.OPERATION: "beside"})
    left.snapshot("final", marks | {tags.FINAL_OF: "staging"})
    left.snapshot("archived", marks | {tags.ARCHIVED: PAST})
    left.snapshot("by-hand", marks)
    left.snapshot("half-managed", {tags.MANAGED: "true"})
    before, changed, asked = left.names(), changes(left.aws), len(calls(left.aws))

    _, dry = cleanup("--dry-run", *NOW)
    touched = calls(left.aws)[asked:]
    changed_by_dry_run = changes(left.aws)[len(changed) :]
    unchanged = left.names()
    code, document = cleanup(*NOW)

    leftovers = {
        f"{SOURCE}/{DAILY}-share-twohops",
        f"{NEAR}/{DAILY}-hop-twohops",
        f"{HERE}/{DAILY}-copy",
        f"{HERE}/{DAILY}-copy-broken",
        f"{HERE}/staging-new-beside",
        f"{HERE}/staging-old-1",
    }
    assert told(dry, "leftovers").keys() == leftovers
    assert results(dry) == {"leftover"}
    assert changed_by_dry_run == []
    assert {e["operation"] for e in touched if e["service"] == "dynamodb"} <= READS
    assert unchanged == before
    assert (code, results(document)) == (0, {"removed"})
    assert told(document, "leftovers").keys() == leftovers
    assert before - left.names() == leftovers
    assert told(document, "kept") == {
        TARGET: "it has the identifier of a refresh's target",
        f"{HERE}/staging-old-2": f"it is an old cluster that is kept until {FUTURE}",
        f"{HERE}/staging-back": "it is the old cluster, brought back",
        f"{HERE}/nobodys": "unknown operation: no request and plan of it are on record",
        f"{HERE}/final": "final snapshots are pruned by the refreshes of their target",
        f"{HERE}/archived": "archived copies are pruned by the refreshes of their target",
        f"{HERE}/by-hand": "it has not the name and the place of a copy of its operation",
    }
    rds = left.aws.client("rds")
    assert {e["DBClusterIdentifier"] for e in rds.describe_db_instances()["DBInstances"]} == {
        "staging"
    }
    assert cleanup(*NOW)[1]["result"]["leftovers"] == []


def test_what_its_price_depends_on_is_told(left: Leavings, cleanup: Cleanup) -> None:
    """
    A snapshot has its storage, a cluster its instances, each its age and its operation's status.
    """
    left.beside("beside", "staging-new-beside")
    left.copied("one", copy_route="one-step", source_kms_key_id=None)

    _, document = cleanup("--dry-run", *NOW)

    by_kind = {each["kind"]: each for each in document["result"]["leftovers"]}
    cluster, snapshot = by_kind["cluster"], by_kind["cluster snapshot"]
    assert cluster["instances"] == {"db.r6g.large": 1} == document["result"]["instances"]
    assert snapshot["gib"] == document["result"]["gib"] > 0
    assert (cluster["operation_id"], cluster["operation_status"]) == ("beside", "FAILED")
    assert cluster["age_seconds"] is not None
    assert document["result"]["places"] == sorted([HERE, NEAR, SOURCE])


def test_what_may_be_resumed_is_left_for_a_day(left: Leavings, cleanup: Cleanup) -> None:
    """
    The copy and the cluster of a refresh that failed just now stay; what was only on the way goes.
    """
    left.copied("two-hops")
    left.beside("beside", "staging-new-beside")

    code, document = cleanup()

    assert code == 0
    assert told(document, "leftovers").keys() == {
        f"{SOURCE}/{DAILY}-share-twohops",
        f"{NEAR}/{DAILY}-hop-twohops",
    }
    reasons = told(document, "kept")
    assert reasons[f"{HERE}/{DAILY}-copy"].startswith("operation two-hops may be resumed; ")
    assert ledger.store().read("two-hops").note("cleaned") is None


def test_an_operation_that_cannot_be_resumed_any_more_has_it_on_record(
    left: Leavings, cleanup: Cleanup
) -> None:
    """
    That its copy was removed is noted on the operation, and told beforehand.
    """
    left.copied("one", copy_route="one-step", source_kms_key_id=None)

    _, dry = cleanup("--dry-run", *NOW)
    cleanup(*NOW)

    [item] = dry["result"]["leftovers"]
    assert item["ends_resuming"]
    [cleaned] = ledger.store().read("one").note("cleaned")
    assert cleaned["arn"] == item["arn"]


@pytest.mark.parametrize("kind", ["copy", "cluster"])
def test_a_cleanup_that_dies_leaves_no_operation_that_seems_resumable(
    left: Leavings, kind: str
) -> None:
    """
    What is being removed is on record before the first call, and once however often it is asked.
    """
    if kind == "copy":
        left.copied("one", copy_route="one-step", source_kms_key_id=None)
    else:
        left.beside("one", "staging-new-one", deletion_protection=True)
    made, asked = looked(), len(changes(left.aws))

    def died(what: str, seconds: float) -> None:
        assert ledger.store().read("one").note("cleaned") is not None
        if len(changes(left.aws)) > asked + 1:
            raise KeyboardInterrupt

    left.aws.plant("dynamodb-denied", operation="UpdateItem", step="operation", times=None)
    [refused] = removal.remove(made, died)
    untouched = changes(left.aws)[asked:]
    left.aws.clear()
    with suppress(KeyboardInterrupt):
        list(removal.remove(made, died))

    assert (refused.result, untouched) == ("failed", [])
    assert changes(left.aws)[asked:] != []
    [cleaned] = ledger.store().read("one").note("cleaned")
    assert cleaned["arn"] in {each.resource.arn for each in made.found}


@pytest.mark.parametrize("noted", [{}, {"going_back": True}], ids=["vanished", "going back"])
def test_nothing_is_taken_from_a_way_back(
    left: Leavings, cleanup: Cleanup, noted: dict[str, Any]
) -> None:
    """
    While the old cluster does not serve, neither copy nor new cluster is removed, however old.
    """
    route = left.copied("away", copy_route="one-step", source_kms_key_id=None)
    deletion = {"cluster_id": "staging", "final_snapshot_id": None}
    ledger.store().note("away", deletion=deletion, **noted)

    code, document = cleanup(*NOW)

    assert (code, document["result"]["leftovers"]) == (0, [])
    assert told(document, "kept") == {
        f"{HERE}/{route.hops[-1].names[0]}": "the old cluster of operation away is not brought back"
    }


def test_a_target_at_work_keeps_its_leftovers(left: Leavings, cleanup: Cleanup) -> None:
    """
    While a run has the lease nothing of the target is removed; afterwards it is.
    """
    left.copied("two-hops")
    holder = Holder.here("other", "run-1")
    lease, _ = leases.acquire(ledger.table(), [TARGET], holder, 60)

    before = left.names()
    held, tried = (cleanup(*more, *NOW)[1] for more in (["--dry-run"], []))
    lease.release()
    code, document = cleanup(*NOW)

    assert set(told(held, "kept").values()) == {f"operation other is at work on {TARGET}"}
    assert held["result"]["leftovers"] == tried["result"]["leftovers"] == []
    assert (code, len(document["result"]["leftovers"])) == (0, 3)
    assert len(before - left.names()) == 3


def test_a_run_that_was_interrupted_is_no_prey(left: Leavings, cleanup: Cleanup) -> None:
    """
    Whose end is not told, the watchdog looks after: its lease is left as it is.
    """
    left.copied("two-hops")
    ledger.store().note("two-hops", announced=None, outcome=None)
    ledger.store().remark("two-hops", "INTERRUPTED")
    lease, _ = leases.acquire(ledger.table(), [TARGET], Holder.here("two-hops", "run-1"), 60)
    lease.leave()
    item = ledger.table().get(f"target:{TARGET}", leases.LEASE)

    _, document = cleanup("--dry-run", *NOW)
    cleanup(*NOW)

    assert document["result"]["leftovers"] == []
    assert set(told(document, "kept").values()) == {
        f"operation two-hops on {TARGET} has vanished or was interrupted"
    }
    assert ledger.table().get(f"target:{TARGET}", leases.LEASE) == item


def test_the_lease_is_held_while_something_is_removed(left: Leavings, cleanup: Cleanup) -> None:
    """
    The target is locked for the removal and free after it.
    """
    left.copied("one", copy_route="one-step", source_kms_key_id=None)
    fences = [item["fence"] for item in left.aws.items(f"target:{TARGET}")]

    cleanup(*NOW)

    [item] = left.aws.items(f"target:{TARGET}")
    assert (item["status"], item["details"]["operation_id"]) == (leases.FREE, "cleanup")
    assert item["fence"] > max(fences, default=0)


def test_what_aws_refuses_to_delete_does_not_keep_the_rest(
    left: Leavings, cleanup: Cleanup
) -> None:
    """
    One refusal is told with exit code 1; the others go, and the next run removes that one, too.
    """
    left.copied("two-hops")
    delete = "DeleteDBClusterSnapshot"
    left.aws.plant(Fault("rds", delete, "AccessDenied", "not you"))

    code, document = cleanup(*NOW)
    again, _ = cleanup(*NOW)

    outcomes = [each["result"] for each in document["result"]["leftovers"]]
    assert (code, sorted(outcomes)) == (1, ["failed", "removed", "removed"])
    assert document["error"]["type"] == "CleanupIncomplete"
    assert "1 of 3 could not be removed" in document["error"]["message"]
    assert again == 0


def test_a_snapshot_that_is_copied_stays(left: Leavings, cleanup: Cleanup) -> None:
    """
    An intermediate copy from which another one is being made is left: that copy might fail.
    """
    route = left.copied("two-hops")
    left.aws.client("rds").delete_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=route.hops[-1].names[0]
    )
    left.aws.plant("copy-stuck", identifier="mine")
    left.aws.client("rds").copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=route.hops[1].arn,
        TargetDBClusterSnapshotIdentifier="mine",
        KmsKeyId="alias/aurora-target",
    )

    code, document = cleanup(*NOW)

    assert code == 0
    assert told(document, "leftovers").keys() == {f"{SOURCE}/{DAILY}-share-twohops"}
    assert told(document, "kept") == {f"{NEAR}/{DAILY}-hop-twohops": "a copy is being made from it"}


def looked() -> Survey:
    return survey(Scope("us-west-2", timedelta(0)))


def hurried(what: str, seconds: float) -> None:
    time.sleep(0.01)


def test_what_has_changed_since_the_look_stays(left: Leavings) -> None:
    """
    Under the lease everything is read again: what is needed by then is not removed.
    """
    route = left.copied("one", copy_route="one-step", source_kms_key_id=None)
    made = looked()
    arn = route.hops[-1].arn
    archived = tags.to_api({tags.ARCHIVED: PAST})
    left.aws.client("rds").add_tags_to_resource(ResourceName=arn, Tags=archived)
    before = left.names()

    [outcome] = removal.remove(made, hurried)

    assert (outcome.result, outcome.problem) == (
        "kept",
        "archived copies are pruned by the refreshes of their target",
    )
    assert left.names() == before


def test_an_operation_that_goes_on_since_the_look_keeps_its_own(left: Leavings) -> None:
    """
    A way back that has begun meanwhile is seen under the lease.
    """
    left.copied("one", copy_route="one-step", source_kms_key_id=None)
    made, before = looked(), left.names()
    ledger.store().note("one", going_back=True)

    [outcome] = removal.remove(made, hurried)

    assert (outcome.result, outcome.problem) == (
        "kept",
        "the old cluster of operation one is not brought back",
    )
    assert left.names() == before


def test_a_run_that_has_begun_since_the_look_keeps_its_target(left: Leavings) -> None:
    """
    Whose lease cannot be taken, nothing of it is removed.
    """
    left.copied("two-hops")
    made, before = looked(), left.names()
    lease, _ = leases.acquire(ledger.table(), [TARGET], Holder.here("other", "run-1"), 60)

    outcomes = list(removal.remove(made, hurried))

    lease.release()
    assert {(each.result, each.problem) for each in outcomes} == {
        ("kept", f"operation other is at work on {TARGET}")
    }
    assert left.names() == before


def test_a_cleanup_whose_lease_is_lost_changes_nothing_more(left: Leavings) -> None:
    """
    The guard of every change applies: once another has the target, no further call is sent.
    """
    left.beside("beside", "staging-new-beside", deletion_protection=True)
    made, asked = looked(), len(changes(left.aws))

    def robbed(what: str, seconds: float) -> None:
        table = ledger.table()
        item = table.get(f"target:{TARGET}", leases.LEASE)
        assert item is not None
        taken = {"fence": item["fence"] + 1}
        table.write(Change((f"target:{TARGET}", leases.LEASE), "SET #fence = :fence", taken))

    [outcome] = removal.remove(made, robbed)

    assert outcome.result == "failed"
    assert "has taken the target over" in outcome.problem
    assert changes(left.aws)[asked:] == ["ModifyDBCluster"]
    assert f"{HERE}/staging-new-beside" in left.names()


def test_an_interrupted_removal_lets_the_target_go(left: Leavings, cleanup: Cleanup) -> None:
    """
    Control-C while a cluster is being deleted releases the lease; a repeat ends the work.
    """
    left.beside("beside", "staging-new-beside")

    def stop(what: str, seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(removal.remove(looked(), stop))
    statuses = [item["status"] for item in left.aws.items(f"target:{TARGET}")]
    left.aws.advance(7200)
    code, document = cleanup(*NOW)

    assert statuses == [leases.FREE]
    assert (code, document["result"]["kept"]) == (0, [])
    assert f"{HERE}/staging-new-beside" not in left.names()


def test_one_target_only(left: Leavings, cleanup: Cleanup) -> None:
    """
    With --target nothing of another one is listed or touched.
    """
    left.copied("one", copy_route="one-step", source_kms_key_id=None)

    _, other = cleanup(*NOW, "--target", f"{HERE}/other")
    _, mine = cleanup(*NOW, "--target", TARGET)

    assert other["result"]["leftovers"] == other["result"]["kept"] == []
    assert len(mine["result"]["leftovers"]) == 1


def test_a_source_account_that_cannot_be_entered_is_told(left: Leavings, cleanup: Cleanup) -> None:
    """
    What cannot be looked at is named with exit code 1; what may be copied there stays.
    """
    left.copied("two-hops")
    left.aws.plant(Fault("sts", "AssumeRole", "AccessDenied", "not you", times=None))
    forget_caches()

    code, document = cleanup("--dry-run", *NOW)

    forget_caches()
    [unseen] = document["result"]["unseen"]
    assert (code, unseen["place"]) == (1, SOURCE)
    assert told(document, "leftovers").keys() == {f"{HERE}/{DAILY}-copy"}


def test_people_read_the_same(left: Leavings, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Text without escapes, in narrow terminals too, with the names whole; without leftovers it says
    so.
    """
    assert main(["cleanup"]) == 0
    nothing = capsys.readouterr().out
    left.copied("one", copy_route="one-step", source_kms_key_id=None)
    texts = []
    for width, more in (("40", ["--dry-run"]), ("120", ["--dry-run"]), ("120", [])):
        monkeypatch.setenv("COLUMNS", width)
        assert main(["cleanup", *NOW, *more]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        texts.append(out)

    assert "No leftovers in" in nothing
    for out in texts:
        assert f"{DAILY}-copy" in out.split()
        assert "cannot be resumed once this is removed" in " ".join(out.split())
        assert "\x1b" not in out
    assert [("Nothing was changed" in out) for out in texts] == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--older-than", "soon"], "--older-than soon: it is no duration"),
        (["--target", "staging"], "--target staging: it is no target"),
        (["--target", "111111111111/us-west-2/x"], "the credentials of this shell are of account"),
        (["--target", TARGET, "--region", "us-east-1"], "the target is in us-west-2"),
    ],
)
def test_bad_usage(account: Sandbox, capsys: Any, arguments: list[str], said: str) -> None:
    """
    What cannot be meant is refused before anything is looked for.
    """
    code = main(["cleanup", *arguments, "--json"])

    assert code == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]
