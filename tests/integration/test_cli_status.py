"""`aurora-restore status` on the sandbox: one query tells how an operation is."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_world import ERROR, FACTS, TARGET, begin, cli, empty, fail, head, outcome, put
from examples import parameters
from product_fixtures import calls, changes

from aurora_restore import ledger
from aurora_restore.details import Step, steps_of
from aurora_restore.request import RestoreRequest
from sandbox import Sandbox
from sandbox.faults import Fault

__all__ = ["cli", "empty"]

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("empty")


def test_operation_at_work_is_told_by_one_query(cli: Any, account: Sandbox) -> None:
    """
    Step, percentage, times and run are told after one query; nothing is written.
    """
    begin("op-1")
    records = ledger.store()
    records.complete("op-1", Step.CHECK_SNAPSHOT, FACTS[0])
    records.start("op-1", Step.COPY_SNAPSHOT, FACTS[0])
    records.note_progress("op-1", Step.COPY_SNAPSHOT, 40)
    before, recorded = len(calls(account)), account.items()

    ended = cli("status", "op-1", "--json")

    assert (ended.code, ended.err, ended.document["ok"]) == (0, "", True)
    assert [each["operation"] for each in calls(account)[before:]] == ["Query"]
    assert account.items() == recorded
    assert changes(account) == []
    result = ended.result
    assert (result["status"], result["target"]) == ("IN_PROGRESS", TARGET)
    assert (result["flow_run_id"], result["deployment"]) == (
        "run-1",
        "restore-aurora-cluster/refresh",
    )
    assert [each["step"] for each in result["steps"]] == [*steps_of("delete-first")]
    done, works, *waiting = result["steps"]
    assert (done["status"], done["percent"]) == ("SUCCESS", 100)
    assert (works["status"], works["percent"]) == ("IN_PROGRESS", 40)
    assert 0 <= works["seconds"] <= result["seconds"] < 60
    assert {each["status"] for each in waiting} == {"NOT_STARTED"}
    assert result["next"] == "aurora-restore status op-1 --follow"


def test_failed_operation_tells_its_error_and_how_to_go_on(cli: Any) -> None:
    """
    The failed step has its error, and the next command resumes.
    """
    fail("op-1", replace="swap")
    ledger.store().note("op-1", outcome=outcome("op-1"), announced="m-1", usual_seconds=2520)

    result = cli("status", "op-1", "--json").result

    assert [each["step"] for each in result["steps"]] == [*steps_of("swap")]
    assert result["steps"][1]["error"] == ERROR | {"aws_error_code": None, "aws_request_id": None}
    assert (result["outcome"], result["message_id"]) == ("FAILED", "m-1")
    assert result["usual_seconds"] == 2520
    assert result["next"] == "aurora-restore resume op-1"
    text = cli("status", "op-1").out
    assert "(usually 42 min 00 s)" in text
    assert ERROR["message"] in text


def test_untold_ending_is_to_be_announced(cli: Any) -> None:
    """
    An outcome that SNS has not taken is what has to be done first.
    """
    fail("op-1")
    ledger.store().note("op-1", outcome=outcome("op-1"), announced=None)

    assert cli("status", "op-1", "--json").result["next"] == "aurora-restore announce op-1"
    assert "NOT YET: FAILED is to be told" in cli("status", "op-1").out


def test_operation_that_has_gone_back_is_done_again_by_another(cli: Any) -> None:
    """
    After a way back the next command starts a new operation with the same request.
    """
    fail("op-1", reader_count=2)
    ledger.store().note("op-1", going_back=True, outcome=outcome("op-1"), announced="m-1")
    unfinished = cli("status", "op-1", "--json").result
    ledger.store().complete("op-1", Step.BRING_BACK, {})

    result = cli("status", "op-1", "--json").result

    assert unfinished["next"] == "aurora-restore resume op-1"
    assert unfinished["steps"][-1]["status"] == "NOT_STARTED"
    assert result["steps"][-1]["step"] == Step.BRING_BACK
    *command, given = shlex.split(result["next"])
    assert command == ["prefect", "deployment", "run", "restore-aurora-cluster/refresh", "--param"]
    asked = json.loads(given.removeprefix("request="))
    wanted = RestoreRequest.model_validate(parameters(reader_count=2))
    assert RestoreRequest.model_validate(asked) == wanted


def test_finished_operation_says_how_to_log_in(cli: Any, account: Sandbox) -> None:
    """
    After a success the next command is the announcement's.
    """
    told = outcome("op-1", "SUCCESS", next_command="psql x")
    put(account, **head("op-1", outcome=told, announced="m-1"))

    result = cli("status", "op-1", "--json").result

    assert (result["seconds"], result["next"]) == (42 * 60, "psql x")


@pytest.mark.parametrize("command", ["status", "resume", "announce"])
def test_operation_that_never_was_is_one_line(cli: Any, command: str) -> None:
    """
    A name that nobody knows ends with exit code 1 and where to look for names.
    """
    ended = cli(command, "op-9")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"aurora-restore {command}: operation op-9: there is none in the table "
        "aurora-restore-state. `aurora-restore history` lists the operations.\n"
    )


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 2049])
@pytest.mark.parametrize("command", ["status", "resume", "announce"])
def test_impossible_name_is_bad_usage(cli: Any, account: Sandbox, command: str, name: str) -> None:
    """
    What cannot be a key is not asked for.
    """
    ended = cli(command, name, "--json")

    assert ended.code == ended.document["exit_code"] == 2
    assert ended.document["error"]["type"] == "BadUsage"
    assert calls(account) == []


@pytest.mark.parametrize(
    ("step", "damage", "named"),
    [
        ("operation", {"history": [{"status": "SUCCESS"}]}, "history"),
        ("operation", {"history": ["x"]}, "history"),
        ("operation", {"history": [{"status": "SUCCESS", "at": "yesterday"}]}, "history"),
        ("operation", {"history": [{"status": "SUCCESS", "at": "2024-03-20T00:00:00"}]}, "history"),
        ("operation", {"status": 7}, "status"),
        ("snapshot-check", {"details": "x"}, "details"),
        ("snapshot-check", {"percent": "much"}, "percent"),
    ],
)
@pytest.mark.parametrize("command", ["status", "resume", "announce"])
def test_damaged_record_is_named(
    cli: Any, account: Sandbox, command: str, step: str, damage: dict[str, Any], named: str
) -> None:
    """
    An item of another shape ends with exit code 1 and its name, never with a traceback.
    """
    put(account, **head("op-1"))
    put(account, **(head("op-1") | {"step": step} | damage))

    ended = cli(command, "op-1", "--json")

    assert (ended.code, ended.err) == (1, "")
    assert ended.document["error"]["type"] == "RecordsDamaged"
    assert ended.document["error"]["message"].startswith(
        f"record {step} of operation op-1: its {named} cannot be read"
    )


@pytest.mark.parametrize(
    "notes",
    [
        {"outcome": "x", "announced": 7},
        {"usual_seconds": "long", "deployment": ["a"], "plan": 3},
        {"details": {"request": "x"}},
        {"details": {"request": None}, "target": 3},
        {"details": {"error": "x"}, "going_back": "yes"},
    ],
)
def test_strange_notes_do_no_harm(cli: Any, account: Sandbox, notes: dict[str, Any]) -> None:
    """
    What lies beside the contract's attributes may be anything, and so may other items.
    """
    put(account, **head("op-1", "FAILED", **notes))
    put(account, "op-1", "somebody-elses", status=[], details=1)
    put(account, "op-1", "lease")

    assert cli("status", "op-1", "--json").result["status"] == "FAILED"
    assert cli("status", "op-1").code == 0
    assert cli("history", "--json").result["operations"][0]["operation_id"] == "op-1"
    assert cli("history").code == 0


@pytest.mark.parametrize("arguments", [["status", "op-1"], ["history"], ["status", "op-1", "-x"]])
def test_table_that_may_not_be_read_is_told_at_once(
    cli: Any, account: Sandbox, arguments: list[str]
) -> None:
    """
    Nobody waits for a table that refuses; the exit code is 3.
    """
    account.plant(Fault("dynamodb", "Query", "AccessDeniedException", "not authorized", times=None))

    ended = cli(*arguments)

    if "-x" in arguments:
        assert ended.code == 2
        return
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (3, "", 1)
    assert "AccessDeniedException" in ended.err


def test_outage_is_not_waited_out(cli: Any, account: Sandbox) -> None:
    """
    A run waits three minutes for its table; a person is told within seconds.
    """
    begin("op-1")
    account.plant(Fault("dynamodb", "Query", "InternalServerError", "x", status=500, times=None))
    began = time.monotonic()

    assert cli("status", "op-1").code == 3

    assert time.monotonic() - began < 60


# ── --follow ─────────────────────────────────────────────────────────────────


def work(operation_id: str, ending: str) -> Callable[[], None]:
    """Return what a run of that operation does to its records, to be called meanwhile."""
    records = ledger.store()

    def act() -> None:
        time.sleep(1.5)
        records.start(operation_id, Step.COPY_SNAPSHOT, FACTS[0])
        records.note_progress(operation_id, Step.COPY_SNAPSHOT, 40)
        time.sleep(2.5)  # two looks see the same
        records.complete(operation_id, Step.COPY_SNAPSHOT, FACTS[1])
        records.end(operation_id, ending)  # type: ignore[arg-type]

    return act


@pytest.mark.parametrize(("ending", "code"), [("SUCCESS", 0), ("FAILED", 1)])
def test_followed_operation_tells_each_change_until_it_ends(
    cli: Any, account: Sandbox, ending: str, code: int
) -> None:
    """
    Each change is a line, told once; the exit code is the operation's; each look is one query.
    """
    begin("op-1")
    run = threading.Thread(target=work("op-1", ending))
    run.start()
    before = len(calls(account))

    ended = cli("status", "op-1", "--follow", "--every", "1")

    run.join()
    assert (ended.code, ended.err) == (code, "")
    lines = ended.out.partition("\n\n")[0].splitlines()
    told = [line[12:].split() for line in lines]
    assert told[0] == ["operation", "IN_PROGRESS"]
    assert ["copy-snapshot", "IN_PROGRESS", "40", "%"] in told
    assert ["copy-snapshot", "SUCCESS"] in told
    assert ["operation", ending] in told
    assert ended.out.count("IN_PROGRESS 40 %") == 1
    assert f"Operation op-1: {ending}" in ended.out
    assert "\x1b" not in ended.out
    asked = [each["operation"] for each in calls(account, "Query", "GetItem")[before:]]
    assert set(asked) <= {"Query"}
    assert len(asked) <= 8


def test_followed_operation_is_one_document(cli: Any, account: Sandbox) -> None:
    """
    With --json only the end is printed, as one document with the operation's exit code.
    """
    begin("op-1")
    run = threading.Thread(target=work("op-1", "CRASHED"))
    run.start()

    ended = cli("status", "op-1", "--follow", "--every", "1", "--json")

    run.join()
    assert (ended.code, ended.err) == (1, "")
    assert ended.document["error"]["type"] == "OperationFailed"
    assert ended.result["status"] == "CRASHED"
    assert "aurora-restore resume op-1" in ended.document["error"]["message"]


@pytest.mark.parametrize("every", ["0.5", "0", "-1", "nan"])
def test_too_short_interval_is_refused(cli: Any, every: str) -> None:
    """
    Nobody asks the table more than once a second.
    """
    assert cli("status", "op-1", "--follow", f"--every={every}").code == 2


def on_a_terminal(
    *arguments: str, interrupt_after: float | None = None, **environment: str
) -> tuple[int, str]:
    """Run the command on a terminal of 80 columns; return its exit code and what it printed."""
    ours, its = pty.openpty()
    command = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "aurora_restore", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env={name: text for name, text in os.environ.items() if name != "NO_COLOR"}
        | {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "xterm"}
        | environment,
        start_new_session=True,
    )
    os.close(its)
    said = b""
    began = time.monotonic()
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
        if interrupt_after is not None and b"copy-snapshot" in said:
            command.send_signal(signal.SIGINT)
            interrupt_after = None
        assert time.monotonic() - began < 90
    os.close(ours)
    return command.wait(30), said.decode()


def test_followed_operation_on_a_terminal_is_drawn_in_place(account: Sandbox) -> None:
    """
    On a terminal the steps are drawn anew in their place; in the end they stand there once.
    """
    begin("op-1")
    run = threading.Thread(target=work("op-1", "SUCCESS"))
    run.start()

    code, said = on_a_terminal("status", "op-1", "--follow", "--every", "1")

    run.join()
    assert code == 0
    assert "\x1b[" in said
    assert "SUCCESS" in said[said.rindex("Operation op-1") :]


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_followed_operation_has_no_escape_where_none_is_wanted(
    account: Sandbox, environment: dict[str, str]
) -> None:
    """
    NO_COLOR and a dumb terminal get lines, without any escape byte.
    """
    fail("op-1")

    code, said = on_a_terminal("status", "op-1", "--follow", **environment)

    assert code == 1
    assert "\x1b" not in said
    assert "copy-snapshot         FAILED" in said


def test_interrupted_follower_ends_with_130(account: Sandbox) -> None:
    """
    Control-C ends the looking, not the operation.
    """
    begin("op-1")
    ledger.store().start("op-1", Step.COPY_SNAPSHOT, FACTS[0])

    code, said = on_a_terminal("status", "op-1", "--follow", interrupt_after=0)

    assert code == 130
    assert "interrupted" in said
    assert "Traceback" not in said
