"""`aurora-restore announce` on the sandbox: what is noted and was not sent is sent, once."""

import json
from typing import Any

import pytest
from cli_world import FACTS, begin, cli, empty, fail, hold, outcome
from examples import request

from aurora_restore import ledger, settings
from aurora_restore.details import Step
from aurora_restore.leases import Lease
from sandbox import Sandbox
from sandbox.faults import Fault

__all__ = ["cli", "empty"]

pytestmark = pytest.mark.usefixtures("empty")


@pytest.fixture
def told(account: Sandbox) -> Any:
    """A function that returns what was announced in this test: operation and result."""
    before = len(account.messages())

    def look() -> list[tuple[str, str]]:
        bodies = [json.loads(each["Message"]) for each in account.messages()[before:]]
        facts = [each["metadata"]["additionalContext"] for each in bodies]
        return [(each["operation_id"], each["result"]) for each in facts]

    return look


@pytest.fixture
def at_once(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run counts as vanished as soon as its lease is over."""
    monkeypatch.setenv("AURORA_RESTORE_LOST_AFTER", "0")
    settings.settings.cache_clear()


def untold(operation_id: str, result: str = "FAILED", **changes: Any) -> Lease:
    """An operation that has ended and whose announcement SNS did not take."""
    fail(operation_id, **changes)
    target = request(**changes).target_name
    ledger.store().note(
        operation_id, outcome=outcome(operation_id, result, target=target), announced=None
    )
    lease = hold(operation_id, 60, **changes)
    lease.leave()
    return lease


def test_noted_ending_is_sent_once(cli: Any, told: Any) -> None:
    """
    The ending of one operation is sent, and not again by another call.
    """
    untold("op-1")

    first, second = cli("announce", "op-1", "--json"), cli("announce", "op-1", "--json")

    assert told() == [("op-1", "FAILED")]
    [sent] = first.result["sent"]
    message_id = ledger.store().read("op-1").note("announced")
    assert sent == {
        "operation_id": "op-1",
        "result": "FAILED",
        "message_id": message_id,
        "lost": False,
    }
    assert (first.code, second.code, second.result["sent"]) == (0, 0, [])
    assert second.result["said"] == "Operation op-1 is announced already."


def test_success_that_is_told_at_last_is_recorded(cli: Any, told: Any) -> None:
    """
    An operation of which only the announcement was missing has succeeded once it is sent.
    """
    untold("op-1", "SUCCESS")
    ledger.store().complete("op-1", Step.ARCHIVE_SNAPSHOT, FACTS[-1])

    ended = cli("announce", "op-1")

    assert (ended.code, ended.err) == (0, "")
    assert "op-1" in ended.out
    assert told() == [("op-1", "SUCCESS")]
    assert ledger.store().read("op-1").has_succeeded


def test_operation_that_has_not_ended_has_nothing_to_tell(cli: Any, told: Any) -> None:
    """
    What works, or has vanished, is not announced by its name.
    """
    begin("op-1")

    ended = cli("announce", "op-1")

    assert (ended.code, told()) == (0, [])
    assert "has not ended: there is nothing to announce" in ended.out


def test_run_at_work_tells_its_end_itself(cli: Any, told: Any) -> None:
    """
    An ending that a live run is about to send is left to it; another operation's run is no matter.
    """
    untold("op-1")
    lease = hold("op-1", 60)

    ended = cli("announce", "op-1")

    assert (ended.code, told()) == (1, [])
    assert ended.err.endswith("It tells its end itself.\n")
    lease.release()
    hold("op-2", 60)
    assert cli("announce", "op-1").code == 0
    assert told() == [("op-1", "FAILED")]


def test_outcome_that_cannot_be_read_is_named(cli: Any, told: Any) -> None:
    """
    A damaged outcome is no fault of the program.
    """
    fail("op-1")
    ledger.store().note("op-1", outcome={"result": "FAILED"}, announced=None)

    ended = cli("announce", "op-1", "--json")

    assert (ended.code, told()) == (1, [])
    assert ended.document["error"]["type"] == "RecordsDamaged"


def test_all_that_wait_are_sent(cli: Any, told: Any) -> None:
    """
    Without a name every ending that SNS did not take is sent; a second call has nothing to do.
    """
    untold("op-1")
    untold("op-2", target_cluster_id="other")
    fail("op-3", target_cluster_id="third")

    ended = cli("announce", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert told() == [("op-1", "FAILED"), ("op-2", "FAILED")]
    assert [each["operation_id"] for each in ended.result["sent"]] == ["op-1", "op-2"]
    assert cli("announce").out == "There was nothing to send.\n"
    assert len(told()) == 2


@pytest.mark.usefixtures("at_once")
def test_vanished_run_is_told_and_may_be_resumed(cli: Any, told: Any) -> None:
    """
    An operation whose run has vanished is told as crashed, with the command that goes on.
    """
    begin("op-1")
    hold("op-1", -1)

    ended = cli("announce")

    assert (ended.code, told()) == (0, [("op-1", "CRASHED")])
    assert "aurora-restore resume op-1" in " ".join(ended.out.split())
    assert cli("status", "op-1", "--json").result["status"] == "CRASHED"


REFUSAL = Fault("sns", "Publish", "AuthorizationError", "no", status=403, times=None)
OUTAGE = Fault("sns", "Publish", "InternalError", "x", status=500, times=None)  # is tried 10 times


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [
        pytest.param(REFUSAL, 1, ["op-1"], id="refused-one"),
        pytest.param(REFUSAL, 1, [], id="refused-all"),
        pytest.param(OUTAGE, 3, ["op-1"], id="unreachable", marks=pytest.mark.long),
    ],
)
def test_topic_that_takes_nothing_is_one_line(
    cli: Any, account: Sandbox, told: Any, fault: Fault, code: int, name: list[str]
) -> None:
    """
    A refusal ends with 1, an outage with 3, in one line; the ending stays to be sent.
    """
    untold("op-1")
    account.plant(fault)

    ended = cli("announce", *name)

    assert (ended.code, ended.out, len(ended.err.splitlines())) == (code, "", 1)
    assert f"Publish was refused ({fault.code})" in ended.err
    account.clear()
    assert cli("announce", *name).code == 0
    assert told() == [("op-1", "FAILED")]


def test_what_could_be_sent_is_told_beside_what_could_not(
    cli: Any, account: Sandbox, told: Any
) -> None:
    """
    If SNS takes some, they are listed, and the others as waiting, with exit code and error.
    """
    untold("op-1")
    untold("op-2", target_cluster_id="other")
    account.plant(
        Fault("sns", "Publish", "AuthorizationError", "no", match={"*": "op-2"}, times=None)
    )

    ended = cli("announce", "--json")

    assert (ended.code, told()) == (1, [("op-1", "FAILED")])
    assert [each["operation_id"] for each in ended.result["sent"]] == ["op-1"]
    assert ended.result["waiting"] == ["op-2"]
    assert ended.document["error"]["type"] == "TopicUnavailable"
