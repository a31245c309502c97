"""What a plan does, in order: each thing made, changed or deleted, for both ways of replacing."""

from typing import Any

import pytest
from examples import request
from plans import (
    DAILY,
    HERE,
    NEAR,
    ONE_STEP,
    ROLES,
    SOURCE,
    STAGING,
    TWO_HOPS,
    blueprint,
    hop,
    plan,
)

from aurora_restore.actions import Totals, actions, totals
from aurora_restore.plan import Plan
from aurora_restore.rds import names
from aurora_restore.rds.route import Route
from aurora_restore.request import RestoreRequest


def lines(asked: RestoreRequest, made: Plan, operation_id: str = "op-1") -> list[str]:
    """Return sign, kind and name of each action, and the place where it is not the target."""
    return [
        f"{each.sign} {each.kind} {each.name}" + (f" @{each.place}" if each.place != HERE else "")
        for each in actions(made, asked, operation_id)
    ]


COPY = [
    f"~ cluster snapshot {DAILY} @{SOURCE}",
    "+ cluster snapshot daily-copy",
    f"~ cluster snapshot {DAILY} @{SOURCE}",
]
DELETE = [
    "+ cluster snapshot staging-final-op1",
    "- instance staging-2",
    "- instance staging-3",
    "- instance staging-1",
    "- cluster staging",
]
RESTORE = ["+ cluster staging", "+ instance new-1", "+ instance new-2"]
END = [
    "~ master password postgres",
    "~ logins undeclared",
    "~ cluster snapshot daily-copy",
]


def test_delete_first_makes_room_before_it_restores() -> None:
    """
    Final snapshot, readers, writer, cluster; only then the new cluster, in the order of a run.
    """
    asked = request()

    assert lines(asked, plan(asked, old=STAGING)) == [*COPY, *DELETE, *RESTORE, *END]


def test_without_an_old_cluster_nothing_is_deleted() -> None:
    """
    A target that does not exist yet is only restored, in both ways of replacing.
    """
    for way in ("delete-first", "swap"):
        asked = request(replace=way)

        assert lines(asked, plan(asked)) == [*COPY, *RESTORE, *END]


def test_swap_deletes_the_old_cluster_last() -> None:
    """
    The new cluster gets its roles beside the old one, takes its name, and the old one goes last.
    """
    asked = request(replace="swap", roles=ROLES)

    assert lines(asked, plan(asked, old=STAGING)) == [
        *COPY,
        "+ cluster staging-new-op1",
        *RESTORE[1:],
        "~ master password postgres",
        "~ role app",
        "~ role report",
        "~ logins undeclared",
        "~ cluster staging",
        "~ cluster staging-new-op1",
        *DELETE[:-1],
        "- cluster staging-old-op1",
        "~ cluster snapshot daily-copy",
    ]


def test_swap_says_which_names_are_exchanged() -> None:
    """
    The notes of the two renames name the identifiers that the clusters get.
    """
    asked = request(replace="swap")

    notes = [each.note for each in actions(plan(asked, old=STAGING), asked, "op-1")]

    assert [each for each in notes if each.startswith("renamed")] == [
        "renamed to staging-old-op1",
        "renamed to staging",
    ]


def test_swap_of_two_identifiers_renames_nothing() -> None:
    """
    Where the new cluster has an identifier of its own the old one is deleted under its name.
    """
    asked = request(replace="swap", replaces="legacy")
    old = blueprint("legacy", "legacy-1")

    assert lines(asked, plan(asked, old=old)) == [
        *COPY,
        *RESTORE,
        "~ master password postgres",
        "~ logins undeclared",
        "+ cluster snapshot legacy-final-op1",
        "- instance legacy-1",
        "- cluster legacy",
        "~ cluster snapshot daily-copy",
    ]


def test_kept_old_cluster_is_not_deleted_by_this_refresh() -> None:
    """
    With keep_old_hours the old cluster is secured by a snapshot and stays under its other name.
    """
    asked = request(replace="swap", keep_old_hours=48)

    told = actions(plan(asked, old=STAGING), asked, "op-1")

    assert [each for each in told if each.sign == "-"] == []
    assert "staging-final-op1" in [each.name for each in told]
    [kept] = [each for each in told if "kept" in each.note]
    assert (kept.sign, kept.name) == ("~", "staging-old-op1")
    assert kept.note == "kept for 48 hours, then deleted by a later refresh"


def test_intermediate_copies_go_and_sharing_ends_once_the_last_copy_is_there() -> None:
    """
    Each hop is made where it is made; what only served the way is removed, sharing with it.
    """
    asked = request()

    assert lines(asked, plan(asked, route=TWO_HOPS))[:7] == [
        f"+ cluster snapshot daily-share-op1 @{SOURCE}",
        f"~ cluster snapshot daily-share-op1 @{SOURCE}",
        f"+ cluster snapshot daily-hop-op1 @{NEAR}",
        "+ cluster snapshot daily-copy",
        f"- cluster snapshot daily-share-op1 @{SOURCE}",
        f"- cluster snapshot daily-hop-op1 @{NEAR}",
        RESTORE[0],
    ]


def test_sharing_that_was_there_before_stays() -> None:
    """
    A share that this refresh did not add is not taken back.
    """
    asked = request()
    route = Route(kind="one-step", hops=[hop(HERE, (SOURCE, DAILY), "daily-copy", share=True)])

    assert lines(asked, plan(asked, route=route))[:3] == [*COPY[:2], RESTORE[0]]


def test_restore_without_a_copy_has_nothing_to_archive() -> None:
    """
    Where the snapshot is restored from directly, no copy is made, removed or archived.
    """
    asked = request()
    route = Route(kind="same-region", hops=[])

    assert lines(asked, plan(asked, route=route)) == [*RESTORE, *END[:-1]]


@pytest.mark.parametrize(
    ("changes", "old", "wanted", "unwanted"),
    [
        (
            {"final_snapshot": False},
            {},
            "- cluster staging",
            "+ cluster snapshot staging-final-op1",
        ),
        ({}, {"deletion_protection": True}, "- cluster staging", "~ cluster staging"),
        ({"lift_deletion_protection": True}, {}, "- cluster staging", "~ cluster staging"),
        (
            {"lift_deletion_protection": True},
            {"deletion_protection": True},
            "~ cluster staging",
            "~ cluster staging-old-op1",
        ),
        (
            {"archive": "delete"},
            {},
            "- cluster snapshot daily-copy",
            "~ cluster snapshot daily-copy",
        ),
    ],
)
def test_only_what_is_asked_for_is_done(
    changes: dict[str, Any], old: dict[str, Any], wanted: str, unwanted: str
) -> None:
    """
    Final snapshot, lifted protection and archive follow the request and the cluster as it is.
    """
    asked = request(**changes)

    told = lines(asked, plan(asked, old=STAGING.model_copy(update=old)))

    assert wanted in told
    assert unwanted not in told


def note_of(asked: RestoreRequest, made: Plan, kind: str, name: str, sign: str) -> str:
    [note] = [
        each.note
        for each in actions(made, asked, "op-1")
        if (each.kind, each.name, each.sign) == (kind, name, sign)
    ]
    return note


@pytest.mark.parametrize(
    ("changes", "kind", "name", "sign", "note"),
    [
        (
            {},
            "cluster snapshot",
            "daily-copy",
            "+",
            f"copy of {DAILY}, under key-1, in two hops if AWS refuses the single step",
        ),
        ({}, "cluster", "staging", "+", "Aurora PostgreSQL 16.14, data of 2024-03-20 05:07 UTC"),
        ({}, "cluster", "staging", "-", "its final snapshot stays"),
        ({"final_snapshot": False}, "cluster", "staging", "-", "without final snapshot"),
        ({}, "instance", "new-1", "+", "writer, db.r6g.large"),
        ({}, "instance", "new-2", "+", "reader, db.r6g.large"),
        ({}, "instance", "staging-1", "-", "writer of staging"),
        ({}, "instance", "staging-2", "-", "reader of staging"),
        ({}, "master password", "postgres", "~", "made and rotated by RDS"),
        (
            {"master_secret_id": "secret/master"},
            "master password",
            "postgres",
            "~",
            "set from secret secret/master",
        ),
        (
            {"roles": ROLES},
            "role",
            "report",
            "~",
            "read_only on sales, stock of postgres; secret secret/report",
        ),
        ({}, "logins", "undeclared", "~", "the snapshot's other logins are locked"),
        (
            {"undeclared_logins": "drop"},
            "logins",
            "undeclared",
            "~",
            "the snapshot's other logins are dropped, what they own goes to the master user",
        ),
        (
            {"archive_keep_newest": 5},
            "cluster snapshot",
            "daily-copy",
            "~",
            "archived; archived copies beyond the newest 5 are deleted",
        ),
        (
            {"final_snapshots_keep_newest": 2},
            "cluster snapshot",
            "staging-final-op1",
            "+",
            "final snapshot of staging; those beyond the newest 2 are deleted",
        ),
    ],
)
def test_note_tells_what_the_name_does_not(
    changes: dict[str, Any], kind: str, name: str, sign: str, note: str
) -> None:
    """
    Each action's note says how, from what, or for whom.
    """
    asked = request(**changes)
    route = ONE_STEP.model_copy(update={"otherwise": TWO_HOPS.hops})

    assert note_of(asked, plan(asked, old=STAGING, route=route), kind, name, sign) == note


def test_settings_that_follow_the_restore_are_told() -> None:
    """
    What AWS takes only from an available cluster is an action of its own.
    """
    asked = request()
    made = plan(
        asked,
        maintenance_window="sun:01:00-sun:02:00",
        http_endpoint=True,
        deletion_protection=True,
    )

    note = note_of(asked, made, "cluster", "staging", "~")

    assert note == ("Data API, maintenance window, deletion protection set once it is available")


def test_plan_without_an_operation_has_its_place_held_in_the_names() -> None:
    """
    Before there is an operation, the names it will give show where its id goes.
    """
    asked = request(replace="swap")
    made = plan(asked, old=STAGING, operation_id=names.PLACEHOLDER)

    told = lines(asked, made, names.PLACEHOLDER)

    assert "+ cluster staging-new-<operation>" in told
    assert "- cluster staging-old-<operation>" in told


def test_totals_count_each_sign() -> None:
    """
    The totals are what the list has, in words.
    """
    asked = request()
    listed = actions(plan(asked, old=STAGING), asked, "op-1")

    assert totals(listed) == Totals(make=5, change=5, delete=4)
    assert str(totals(listed)) == "5 to make, 5 to change, 4 to delete"
