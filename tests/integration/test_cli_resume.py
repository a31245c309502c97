"""`aurora-restore resume`: what is refused, and what Prefect's answers are taken for.

That a run really goes on is shown in tests/flow/test_cli_resume.py.
"""

from typing import Any

import pytest
from cli_world import begin, cli, empty, fail, head, hold, put
from examples import parameters, request
from product_fixtures import calls, changes

from aurora_restore import ledger
from aurora_restore.cli import prefect_run, resuming
from aurora_restore.cli.prefect_run import PrefectUnreachable, Run, RunNotStarted
from aurora_restore.details import Step
from sandbox import Sandbox

__all__ = ["cli", "empty"]

pytestmark = pytest.mark.usefixtures("empty")


def refused(cli: Any, *more: str, code: int = 1) -> str:
    """Return why resuming op-1 is refused: one line."""
    ended = cli("resume", "op-1", *more)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (code, "", 1)
    return str(ended.err).removeprefix("aurora-restore resume: ").rstrip("\n")


def test_finished_operation_is_left_alone(cli: Any, account: Sandbox) -> None:
    """
    There is nothing to do about a success.
    """
    put(account, **head("op-1", "SUCCESS"))

    line = refused(cli)

    assert line == "operation op-1: it has succeeded: nothing to do."
    document = cli("resume", "op-1", "--json").document
    assert (document["exit_code"], document["result"]) == (1, None)
    assert (document["error"]["type"], document["error"]["message"]) == ("Refused", line)


def test_operation_that_has_gone_back_is_not_resumed(cli: Any) -> None:
    """
    Once the old cluster serves again another operation is needed; until then the way back goes on.
    """
    fail("op-1")
    ledger.store().note("op-1", going_back=True)
    assert "could not be asked" in refused(cli, code=3)

    ledger.store().complete("op-1", Step.BRING_BACK, {})

    assert refused(cli) == (
        "operation op-1: it failed and has brought the old cluster back. Start another one: "
        "`aurora-restore status op-1` has the command."
    )


def test_operation_that_was_cleaned_up_is_not_resumed(cli: Any) -> None:
    """
    What cleanup has removed cannot be gone on with, and the next command is another operation.
    """
    fail("op-1")
    ledger.store().note("op-1", cleaned=[{"arn": "x", "at": "2026-11-25"}])

    assert refused(cli).startswith("operation op-1: what it had made was removed by cleanup. ")
    following = cli("status", "op-1", "--json").result["next"]
    assert following.startswith("prefect deployment run 'restore-aurora-cluster/refresh' --param ")


@pytest.mark.parametrize(
    "asked", [None, "x", parameters(target_cluster_id="-"), parameters(engine="mysql")]
)
def test_request_that_cannot_be_read_is_not_resumed(
    cli: Any, account: Sandbox, asked: object
) -> None:
    """
    An operation begun by another version, or without a valid request, has to be done anew.
    """
    put(account, **head("op-1", "FAILED", details={} if asked is None else {"request": asked}))

    assert refused(cli) == (
        "operation op-1: its request is not on record, or is not valid any more. Start another one."
    )


@pytest.mark.parametrize("holder", ["op-1", "op-2"])
def test_live_run_is_named(cli: Any, account: Sandbox, holder: str) -> None:
    """
    A target on which a run is at work is left to it; the lease is only read.
    """
    fail("op-1", replaces="old", replace="swap")
    hold(holder, 60, target_cluster_id="old")
    held, before = account.items(), len(calls(account))

    line = refused(cli)

    assert line.startswith(
        f"cluster 987654321098/us-west-2/old: operation {holder} (flow run run-1, since "
        "2024-03-20T00:00:00+00:00) is at work on it; its lease runs until "
    )
    assert account.items() == held
    assert {each["operation"] for each in calls(account)[before:]} == {"Query", "GetItem"}
    assert changes(account) == []


def test_lease_that_ran_out_hinders_nobody(cli: Any) -> None:
    """
    A run that has vanished is gone on with, as soon as its lease is over.
    """
    begin("op-1")
    hold("op-1", -1)

    assert "Prefect could not be asked" in refused(cli, code=3)


def test_unknown_deployment_has_to_be_named(cli: Any) -> None:
    """
    A run without a deployment left none on record.
    """
    fail("op-1")
    ledger.store().note("op-1", deployment=None)

    assert refused(cli, code=2) == (
        "operation op-1: the records do not name its deployment. Run `aurora-restore resume op-1 "
        "--deployment FLOW/DEPLOYMENT`."
    )


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9/api"])
def test_prefect_that_cannot_be_asked_ends_with_3(
    cli: Any, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without an API, or with one that does not answer, nothing is started, also no server.
    """
    fail("op-1")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_SERVER_EPHEMERAL_ENABLED", raising=False)
    if url is not None:
        monkeypatch.setenv("PREFECT_API_URL", url)

    line = refused(cli, code=3)

    assert line.startswith(
        "deployment restore-aurora-cluster/refresh: Prefect could not be asked: "
    )
    assert line.endswith("Check PREFECT_API_URL and the network of this shell, then run again.")


CREATED = [
    "Creating flow run for deployment 'restore-aurora-cluster/refresh'...",
    "Created flow run 'x'.",
    "└── UUID: 11111111-2222-3333-4444-555555555555",
    "└── Parameters: {'request': {'operation_id': 'op-1'}}",
    "└── URL: http://127.0.0.1:4200/runs/flow-run/11111111-2222-3333-4444-555555555555",
]
ID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("last", "code", "state", "failed"),
    [
        ([], 0, None, False),
        (["Flow run finished successfully in 'Completed'."], 0, "Completed", False),
        (["Flow run finished in state 'Failed'.", ""], 1, "Failed", True),
        (["Flow run has timed out"], 1, None, True),
    ],
)
def test_run_is_read_from_what_prefect_prints(
    last: list[str], code: int, state: str | None, *, failed: bool
) -> None:
    """
    Id, address and, if it was watched, the end of the run are Prefect's own words.
    """
    run = prefect_run.understand("a/b", CREATED + last, code)

    assert (run.flow_run_id, run.state, run.failed) == (ID, state, failed)
    assert run.url == f"http://127.0.0.1:4200/runs/flow-run/{ID}"
    assert (
        prefect_run.understand("a/b", [*CREATED[:4], "└── URL: <no dashboard available>"], 0).url
        is None
    )


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (["Deployment 'a/b' not found!"], RunNotStarted, "Deployment 'a/b' not found"),
        (
            ["Traceback", "  x", "httpx.ConnectError: x", "An exception occurred."],
            PrefectUnreachable,
            "ConnectError",
        ),
        (["ValueError: set PREFECT_API_URL to"], PrefectUnreachable, "PREFECT_API_URL"),
        (["", " "], RunNotStarted, "exit code 1"),
        ([], RunNotStarted, "exit code 1"),
    ],
)
def test_run_that_was_not_made_has_prefects_reason(
    said: list[str], kind: type[Exception], message: str
) -> None:
    """
    The last thing Prefect said is the reason, in one line.
    """
    with pytest.raises(kind, match=message) as raised:
        prefect_run.understand("a/b", said, 1)

    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)


def test_run_tells_nothing_before_it_is_watched() -> None:
    """
    A run that was only started has not ended.
    """
    assert prefect_run.understand("a/b", CREATED, 0) == Run(
        ID, f"http://127.0.0.1:4200/runs/flow-run/{ID}", said=CREATED[-1]
    )


def test_watched_run_that_failed_is_a_finding(cli: Any) -> None:
    """
    What was started is told together with how it ended, and the exit code is 1.
    """
    fail("op-1")
    ended = prefect_run.understand("a/b", [*CREATED, "Flow run finished in state 'Failed'."], 1)

    answer = resuming.answer(ledger.store().read("op-1"), request(), "a/b", ended)

    envelope = answer.envelope("resume")
    assert (envelope.ok, envelope.exit_code) == (False, 1)
    assert envelope.error is not None
    assert (envelope.error.type, envelope.error.message) == (
        "RunFailed",
        f"flow run {ID}: Flow run finished in state 'Failed'. Run `aurora-restore status op-1`.",
    )
