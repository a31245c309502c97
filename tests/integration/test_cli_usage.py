"""The command line's conventions: exit codes, one JSON document, errors of one line, the help."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from examples import parameters

from aurora_restore.announcements import TopicUnavailable
from aurora_restore.cli import main
from aurora_restore.cli.app import COMMANDS
from aurora_restore.cli.commands import AsJson
from aurora_restore.cli.exits import ExitCode, exit_code_of
from aurora_restore.cli.prefect_run import PrefectUnreachable, RunNotStarted
from aurora_restore.errors import RecordsUnavailable, Refused

ROOT = Path(__file__).resolve().parents[2]
DENIED = ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {}}, "Query")  # type: ignore[typeddict-item]


def topic_unavailable(status: int | None) -> TopicUnavailable:
    """Return the error of a topic that answers with this HTTP status; None: not at all."""
    error = TopicUnavailable("topic t", "Publish was refused")
    answer: Any = {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error.__cause__ = ClientError(answer, "Publish") if status else NoCredentialsError()
    return error


ENVELOPE = {"command", "ok", "exit_code", "error", "result"}


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and no settings: whatever is wrong is found before AWS is asked."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith(("AURORA_RESTORE_", "AWS_"))]:
        monkeypatch.delenv(name)


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell does."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aurora_restore", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
    )


REQUEST = json.dumps(parameters())
CASES = {
    "no request": (
        "",
        ["plan"],
        (
            'arguments: Command "plan" parameter REQUEST requires an argument. '
            "Run `aurora-restore plan --help`."
        ),
    ),
    "unknown option": (
        REQUEST,
        ["plan", "request", "--jsn"],
        (
            "arguments: Unknown option: --jsn (did you mean --json?). "
            "Run `aurora-restore plan --help`."
        ),
    ),
    "no file": (
        "",
        ["plan", "other"],
        (
            "request other: it cannot be read (No such file or directory). Name a JSON or "
            "YAML file, "
            "or - for standard input."
        ),
    ),
    "neither JSON nor YAML": (
        "{a: [b",
        ["plan", "request"],
        (
            "request request: it is neither JSON nor YAML: expected ',' or ']', but got "
            "'<stream end>', line 1, column 7. Correct it there."
        ),
    ),
    "no map": (
        "- a\n- b\n",
        ["plan", "request"],
        (
            "request request: it is no map of fields. Write the request's fields, each with "
            "its value; "
            "docs/command-line.md has an example."
        ),
    ),
    "other parameters": (
        json.dumps({"request": parameters(), "wait": 3}),
        ["plan", "request"],
        (
            "request request: beside `request` it has wait. Put the fields of the request into "
            "`request`, and nothing beside it."
        ),
    ),
    "override without a value": (
        REQUEST,
        ["plan", "request", "--set", "replace"],
        "--set replace: it has no value. Write --set field=value.",
    ),
    "unknown field": (
        REQUEST,
        ["plan", "request", "--set", "reader_cout=2"],
        (
            "request request: reader_cout: unknown field; remove it or correct its name. "
            "Did you mean "
            "reader_count instead of reader_cout? Correct the request."
        ),
    ),
    "unknown field of a role": (
        json.dumps(parameters(roles=[{"name": "a", "secret": "b"}])),
        ["plan", "request"],
        (
            "request request: roles.0.secret: unknown field; remove it or correct its name. "
            "Did you mean secret_id instead of secret? Correct the "
            "request."
        ),
    ),
    "invalid value": (
        REQUEST,
        ["plan", "request", "--set", "replace=swop"],
        "request request: replace: Input should be 'delete-first' or 'swap'. Correct the request.",
    ),
    "no settings": (
        REQUEST,
        ["plan", "request"],
        (
            "environment: AURORA_RESTORE_STATE_TABLE: missing; give a value; "
            "AURORA_RESTORE_TOPIC_ARN: "
            "missing; give a value. Set these environment variables as the deployment has them."
        ),
    ),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(("text", "arguments", "message"), CASES.values(), ids=CASES.keys())
def test_bad_usage_is_one_line_and_exit_code_2(
    text: str, arguments: list[str], message: str, *, as_json: bool, capsys: Any
) -> None:
    """
    What is wrong with the call is said in one line, or in one JSON document, and nothing else is.
    """
    Path("request").write_text(text)

    code = main([*arguments, *(["--json"] if as_json else [])])

    out, err = capsys.readouterr()
    assert code == 2
    if as_json:
        document = json.loads(out)
        assert err == ""
        assert document.keys() == ENVELOPE
        assert (document["command"], document["ok"], document["exit_code"]) == ("plan", False, 2)
        assert (document["error"]["type"], document["error"]["message"]) == ("BadUsage", message)
        assert document["result"] is None
    else:
        assert (out, err) == ("", f"aurora-restore plan: {message}\n")


def test_unknown_command_suggests_the_nearest(capsys: Any) -> None:
    """
    A mistyped command is answered with the one that was meant.
    """
    assert main(["pln", "--json"]) == 2

    document = json.loads(capsys.readouterr().out)
    assert document["command"] is None
    assert "did you mean plan?" in document["error"]["message"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("a", "b", "c"), ExitCode.FINDINGS),
        (RecordsUnavailable("table", "gone"), ExitCode.UNREACHABLE),
        (DENIED, ExitCode.UNREACHABLE),
        (NoCredentialsError(), ExitCode.UNREACHABLE),
        (topic_unavailable(403), ExitCode.FINDINGS),
        (topic_unavailable(503), ExitCode.UNREACHABLE),
        (topic_unavailable(None), ExitCode.UNREACHABLE),
        (RunNotStarted("deployment a/b", "not found"), ExitCode.FINDINGS),
        (PrefectUnreachable("deployment a/b", "away"), ExitCode.UNREACHABLE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (KeyError("x"), ExitCode.BROKEN),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_every_error_has_its_exit_code_and_one_line(
    error: BaseException, code: ExitCode, *, as_json: bool, capsys: Any
) -> None:
    """
    Whatever a command raises ends in one line or one document, with the exit code of its kind.
    """

    def fail(*, as_json: AsJson = False) -> Any:
        raise error

    assert main(["fail", *(["--json"] if as_json else [])], {"fail": fail}) == code

    out, err = capsys.readouterr()
    if as_json:
        document = json.loads(out)
        assert (document["exit_code"], document["ok"], document["result"]) == (code, False, None)
        assert document["error"]["type"] == type(error).__name__
    assert (out == "") is not as_json
    assert len(err.splitlines()) == (0 if as_json else 1)
    assert exit_code_of(error) == code


def test_refusal_of_aws_is_named_for_machines(capsys: Any) -> None:
    """
    AWS's error code stands in a field of its own.
    """

    def fail(*, as_json: AsJson = False) -> Any:
        raise DENIED

    main(["fail", "--json"], {"fail": fail})

    assert json.loads(capsys.readouterr().out)["error"]["aws_error_code"] == "AccessDenied"


def test_document_has_the_exit_codes() -> None:
    """
    docs/command-line.md lists exactly the exit codes there are.
    """
    text = (ROOT / "docs" / "command-line.md").read_text()

    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]

    assert listed == [each.value for each in ExitCode]


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_lists_the_commands_and_which_of_them_change_nothing(
    arguments: list[str], capsys: Any
) -> None:
    """
    The help of the program has every command, an example, and says which ones only look.
    """
    assert main(arguments) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert all(f" {command} " in said for command in COMMANDS)
    assert "doctor, plan, status and history look and change nothing" in said
    assert "Example: aurora-restore plan request.yaml" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example_and_whether_it_changes_anything(
    command: str, capsys: Any
) -> None:
    """
    The commands that only look say so, the others do not, and each shows how it is written.
    """
    assert main([command, "--help"]) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert f"Example: aurora-restore {command}" in said
    assert ("It changes nothing." in said) is (command in {"doctor", "plan", "status", "history"})


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_neither_boto3_nor_prefect(command: str) -> None:
    """
    The help is there at once: what takes long to load is loaded by the command that needs it.
    """
    program = "import sys; from aurora_restore.cli import main; main(sys.argv[1:]); "
    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-c",
            program + "print(*sys.modules, file=sys.stderr)",
            command,
            "--help",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    loaded = set(done.stderr.split())
    assert "cyclopts" in loaded
    assert loaded & {"boto3", "prefect", "psycopg2"} == set()


def test_version_is_the_projects(capsys: Any) -> None:
    """
    --version prints the version of pyproject.toml.
    """
    assert main(["--version"]) == 0

    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{capsys.readouterr().out.strip()}"' in text


def test_module_is_the_command() -> None:
    """
    `python -m aurora_restore` ends with the command's exit code and without a traceback.
    """
    done = run("plan", "nowhere.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("aurora-restore plan: request nowhere.yaml: ")
    assert len(done.stderr.splitlines()) == 1


def test_interrupted_command_says_so() -> None:
    """
    Control-C ends a command with 130 and one line.
    """
    os.mkfifo("request")
    command = subprocess.Popen(
        [sys.executable, "-m", "aurora_restore", "plan", "request"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with Path("request").open("w"):  # returns once the command reads
        command.send_signal(signal.SIGINT)
        _, said = command.communicate()

    assert command.returncode == 130
    assert said == "aurora-restore plan: interrupted. Run the command again when you like.\n"


def test_reader_that_has_seen_enough_is_no_error() -> None:
    """
    A pipe that is closed early, as by `head`, ends the command quietly.
    """
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "aurora_restore", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")
