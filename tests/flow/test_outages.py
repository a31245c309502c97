"""What the run depends on goes away: DynamoDB, Prefect's API, the credentials."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from aurora_restore.details import Step, steps_of
from demo.stack import PrefectStack, free_port
from sandbox import Sandbox


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (Step.COPY_SNAPSHOT, "SUCCESS"),
        (Step.CHECK_RESTORE_STATUS, "SUCCESS"),
        (Step.SEND_NOTIFICATION, "SUCCESS"),
        (Step.DELETE_CLUSTER, "IN_PROGRESS"),
    ],
)
def test_what_a_hook_could_not_write_is_mended(refresh, aws: Sandbox, step: Step, status: str):
    """
    DynamoDB refuses one hook's write; the next step, or the end of the run, writes the record.
    """
    aws.plant("dynamodb-denied", step=step.value, status=status)

    run = refresh()

    assert [fault["struck"] for fault in aws.planted()] == [1]
    assert run.error is None
    assert run.statuses() == {each.value: "SUCCESS" for each in steps_of("delete-first")}
    history = [entry["status"] for entry in run.items[step]["history"]]
    assert history == ["IN_PROGRESS", "SUCCESS"]
    assert set(run.items[step]["details"]) >= {"source_snapshot", "copy_snapshot_id"}


def test_a_failure_that_a_hook_could_not_write_is_mended(refresh, aws: Sandbox):
    """
    DynamoDB refuses the hook's FAILED record; announcing the failure writes it.
    """
    aws.plant("copy-failed")
    aws.plant("dynamodb-denied", step="check-copy-status", status="FAILED")

    run = refresh()

    assert [fault["struck"] for fault in aws.planted() if fault["service"] == "dynamodb"] == [1]
    assert run.items[Step.CHECK_COPY_STATUS]["status"] == "FAILED"
    assert run.items[Step.CHECK_COPY_STATUS]["details"]["error"]["type"] == "EndedBadly"
    assert len(run.messages) == 1


def test_without_the_table_nothing_is_destroyed_and_sns_says_so(refresh, aws: Sandbox):
    """
    DynamoDB goes away while the copy is made and stays away: the run stops before anything
    destructive, and announces why.
    """
    aws.plant("dynamodb-down", after_step="check-copy-status")

    run = refresh()

    assert "DynamoDB table aurora-restore-state: cannot be used" in str(run.error)
    assert not [change for change in run.changes() if change.startswith("Delete")]
    assert "CreateDBClusterSnapshot" not in run.changes()
    context = run.context()
    assert context["result"] == "FAILED"
    assert "DynamoDB table aurora-restore-state" in context["error"]


@pytest.mark.parametrize("failure", [None, pytest.param("restore-refused", marks=pytest.mark.long)])
def test_an_end_without_prefect_s_api_is_recorded_and_announced(
    refresh, aws: Sandbox, prefect: PrefectStack, during, failure: str | None
):
    """
    Prefect's API goes away in the middle and stays away: no hook of the flow runs, and still the
    outcome is in the records and with SNS.
    """
    if failure is not None:
        aws.plant(failure)
    with relay(prefect.port) as (url, cut):

        def cut_during_the_deletion() -> None:
            wait_for(aws, Step.DELETE_CLUSTER)
            cut()

        during(cut_during_the_deletion)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 1}):
            run = refresh(api_url=url)

    assert isinstance(run.error, httpx.HTTPError)
    assert run.items["operation"]["status"] == ("SUCCESS" if failure is None else "FAILED")
    assert run.context()["result"] == ("SUCCESS" if failure is None else "FAILED")
    if failure is None:
        assert run.statuses() == {step.value: "SUCCESS" for step in steps_of("delete-first")}
    else:
        assert run.items[Step.RESTORE_SNAPSHOT]["status"] == "FAILED"


def wait_for(aws: Sandbox, step: Step) -> None:
    """Return once the step has a record."""
    for _ in range(1200):
        if any(item["step"] == step for item in aws.items("op-001")):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{step} never began")


@contextlib.contextmanager
def relay(port: int, at: int | None = None) -> Iterator[tuple[str, "threading.Event.set"]]:
    """A TCP relay to Prefect's server that can be cut for good; yields its URL and the cut."""
    listener = socket.create_server(("127.0.0.1", at or free_port()))
    open_sockets: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                open_sockets.extend([client, server])
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def cut() -> None:
        for each in open_sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api", cut
    finally:
        cut()
