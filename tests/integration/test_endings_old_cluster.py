"""What an announcement says of the cluster that was to be replaced, and what to do next."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from examples import HANDED_OVER, parameters, plan, request, state_flow

from aurora_restore import ledger
from aurora_restore.details import BroughtBack, ClusterDeleted, ClustersSwapped, Details
from aurora_restore.endings import Ending, announce_failure
from sandbox import Sandbox

FACTS: dict[str, Any] = {}
for example in state_flow():
    FACTS |= example["details"]
FACTS |= HANDED_OVER | {"plan": plan()}
TEMPORARY = plan().new.model_copy(update={"cluster_id": "staging-new-1"})


def reached(known: Details, model: type[Details], **facts: Any) -> None:
    """Record that a step has succeeded."""
    given = {name: value for name, value in FACTS.items() if name in model.model_fields} | facts
    ledger.store().succeed(known.then(model, **given))


def nothing(_: Details) -> None: ...


def planned(known: Details) -> None:
    ledger.keep_plan(known.operation_id, plan())


def first(known: Details) -> None:
    ledger.keep_plan(known.operation_id, plan(old=None))


def begun_to_delete(known: Details) -> None:
    planned(known)
    old = plan().old
    assert old is not None
    ledger.intend_deletion(known.operation_id, old, "final")


def begun_without_snapshot(known: Details) -> None:
    planned(known)
    old = plan().old
    assert old is not None
    ledger.intend_deletion(known.operation_id, old, None)


def deleted(known: Details) -> None:
    begun_to_delete(known)
    reached(known, ClusterDeleted)


def going_back(known: Details) -> None:
    begun_to_delete(known)
    ledger.store().note(known.operation_id, going_back=True)


def going_back_without_snapshot(known: Details) -> None:
    begun_without_snapshot(known)
    ledger.store().note(known.operation_id, going_back=True)


def back_from_snapshot(known: Details) -> None:
    going_back(known)
    reached(known, BroughtBack, brought_back_cluster_id="staging", brought_back_from="final")


def never_gone(known: Details) -> None:
    going_back(known)
    reached(known, BroughtBack, brought_back_cluster_id="staging", brought_back_from=None)


def swapped(known: Details) -> None:
    ledger.keep_plan(known.operation_id, plan(new=TEMPORARY))
    reached(known, ClustersSwapped)


def swapped_two_identifiers(known: Details) -> None:
    planned(known)
    reached(known, ClustersSwapped)


def kept(known: Details) -> None:
    swapped(known)
    moment = plan().data_from
    assert moment is not None
    ledger.keep_old(known.operation_id, "staging-old-1", moment)


@pytest.fixture
def told(account: Sandbox) -> Callable[[str], dict[str, Any]]:
    """Return the facts of the only message about an operation."""

    def facts(operation_id: str) -> dict[str, Any]:
        bodies = [json.loads(message["Message"])["metadata"] for message in account.messages()]
        [only] = [each for each in bodies if each["threadId"] == operation_id]
        context: dict[str, Any] = only["additionalContext"]
        return context

    return facts


@pytest.mark.parametrize(
    ("state", "line", "command"),
    [
        (nothing, "untouched", "retry"),
        (planned, "untouched", "retry"),
        (first, "there was none", "retry"),
        (begun_to_delete, "staging: its deletion was begun; final snapshot final", "retry"),
        (
            begun_without_snapshot,
            "staging: its deletion was begun; final snapshot not asked for",
            "retry",
        ),
        (deleted, "staging: deleted; final snapshot final", "retry"),
        (going_back, "NOT brought back; final snapshot final", "retry"),
        (going_back_without_snapshot, "NOT brought back; final snapshot not asked for", "retry"),
        (back_from_snapshot, "staging: brought back from final", "anew"),
        (never_gone, "staging: still serves", "anew"),
        (swapped, "staging: has made room under another identifier, not deleted", "retry"),
        (swapped_two_identifiers, "untouched", "retry"),
        (kept, "staging-old-1: kept until 2024-03-20T02:00+00:00", "retry"),
    ],
)
def test_announcement_tells_what_became_of_the_old_cluster(
    account: Sandbox,
    told: Callable[[str], dict[str, Any]],
    state: Callable[[Details], None],
    line: str,
    command: str,
) -> None:
    """
    Whoever reads it knows where the old data is; a retry continues an operation, or its way back
    until the old cluster serves again.
    """
    begun = ledger.begin(request(), f"op-{uuid4()}")
    state(begun)

    announce_failure(
        Ending(
            f"run-of-{begun.operation_id}",
            begun.operation_id,
            "FAILED",
            {"type": "Refused", "message": "no"},
            parameters(),
            next_command="retry",
            run_again="anew",
        )
    )

    facts = told(begun.operation_id)
    assert facts["old_cluster"] == line
    assert facts["next_command"] == command
