"""Passwords are nowhere: every place that a run writes to is searched, and so is the search."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg2
import pytest

from demo.facts import request, safe_data
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox
from tests.flow.test_worker import wait_until

LOOK_SECONDS = 0.02
# What Prefect's server keeps: a place to look at each, beside its file as a whole.
TABLES = (
    "flow_run",
    "flow_run_state",
    "task_run",
    "task_run_state",
    "log",
    "artifact",
    "events",
    "deployment",
)
MASTER = "aurora-restore/marked-master"


class Processes:
    """What the arguments of every process have been, looked at again and again."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def text(self) -> str:
        return "\n".join(self._seen)

    @contextmanager
    def watched(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            for each in psutil.process_iter():
                with suppress(psutil.Error):
                    self._seen.add("\0".join(each.cmdline()))


Sinks = dict[str, Callable[[], str]]


def rows(prefect: PrefectStack, table: str) -> str:
    """Return everything in a table of Prefect's database."""
    with closing(sqlite3.connect(prefect.home / "prefect.db", timeout=30)) as database:
        return "\n".join(str(row) for row in database.execute(f"SELECT * FROM {table}"))  # noqa: S608


def files(root: Path, pattern: str = "*") -> str:
    """Return what is in all files of a folder, as bytes are shown."""
    found = []
    for path in root.rglob(pattern):
        with suppress(OSError):
            if path.is_file() and "pg_wal" not in path.parts and "base" not in path.parts:
                found.append(path.read_text(errors="replace"))
    return "\n".join(found)


def sinks(aws: Sandbox, prefect: PrefectStack, processes: Processes, said: list[str]) -> Sinks:
    """Return every place that a run, its server or its database writes to."""
    servers = Path(aws.facts["ca_file"]).parent
    return {
        **{f"Prefect: {table}": lambda table=table: rows(prefect, table) for table in TABLES},
        "Prefect: files and results": lambda: files(prefect.home),
        "server's and worker's output": lambda: prefect.log("server") + prefect.log("worker"),
        "PostgreSQL's logs": lambda: files(servers, "*.log"),
        "DynamoDB": lambda: json.dumps(aws.items(), default=str),
        "SNS": lambda: json.dumps(aws.messages()),
        "process arguments": lambda: processes.text,
        "output of the commands": lambda: "\n".join(said),
    }


def plants(
    aws: Sandbox, prefect: PrefectStack, said: list[str], word: str
) -> dict[str, Callable[[], Any]]:
    """Return what puts a word into each of these places, by the road a mistake would take."""

    def ask(path: str, **body: Any) -> Any:
        return prefect.ask("POST", path, json=body).json()

    flow = ask("flows/", name="planted")["id"]
    run = ask("flow_runs/", flow_id=flow, state={"type": "PENDING"})["id"]
    kept = aws.client("dynamodb")

    def event() -> None:
        happened = {
            "id": str(uuid4()),
            "occurred": "2026-11-26T00:00:00Z",
            "event": "planted",
            "resource": {"prefect.resource.id": "planted"},
            "payload": {"word": word},
        }
        prefect.ask("POST", "events", json=[happened])
        wait_until(lambda: word in rows(prefect, "events"))

    def statement() -> None:
        with suppress(psycopg2.errors.SyntaxError), closing(master_of(aws)) as database:
            database.cursor().execute(f"CREATE ROLE x PASSWORD '{word}' NONSENSE")

    return {
        "Prefect: flow_run": lambda: ask("flow_runs/", flow_id=flow, parameters={"word": word}),
        "Prefect: flow_run_state": lambda: ask(
            f"flow_runs/{run}/set_state", state={"type": "RUNNING", "message": word}
        ),
        "Prefect: task_run": lambda: ask(
            "task_runs/", flow_run_id=run, task_key="x", dynamic_key="0", name=word
        ),
        "Prefect: task_run_state": lambda: ask(
            "task_runs/",
            flow_run_id=run,
            task_key="x",
            dynamic_key="1",
            state={"type": "FAILED", "message": word},
        ),
        "Prefect: log": lambda: prefect.ask(
            "POST",
            "logs/",
            json=[
                {
                    "name": "x",
                    "level": 10,
                    "message": word,
                    "timestamp": "2026-01-01T00:00:00Z",
                    "flow_run_id": run,
                }
            ],
        ),
        "Prefect: artifact": lambda: ask("artifacts/", key="planted", data=word),
        "Prefect: events": event,
        "Prefect: deployment": lambda: ask(
            "deployments/", name="planted", flow_id=flow, parameters={"word": word}
        ),
        "Prefect: files and results": lambda: (prefect.home / "result").write_text(word),
        "server's and worker's output": lambda: (
            (prefect.home / "worker.log").open("a").write(f"{word}\n")
        ),
        "PostgreSQL's logs": statement,
        "DynamoDB": lambda: kept.put_item(
            TableName=aws.facts["table"],
            Item={"operation_id": {"S": "x"}, "step": {"S": "x"}, "error": {"S": word}},
        ),
        "SNS": lambda: aws.client("sns").publish(TopicArn=aws.facts["topic_arn"], Message=word),
        "process arguments": lambda: subprocess.run(  # noqa: S603
            [sys.executable, "-c", "import time; time.sleep(0.5)", word], check=True
        ),
        "output of the commands": lambda: said.append(word),
    }


def mark(aws: Sandbox) -> list[str]:
    """Put passwords that can be found into the secrets of a run; return them."""
    secrets = aws.client("secretsmanager")
    words = [f"Marker{uuid4().hex}" for _ in range(3)]
    content = [json.dumps({"username": "x", "password": word}) for word in words]
    secrets.put_secret_value(SecretId=aws.facts["app_secret_arn"], SecretString=content[0])
    secrets.put_secret_value(SecretId=aws.facts["reporting_secret_arn"], SecretString=words[1])
    secrets.create_secret(Name=MASTER, SecretString=content[2])
    return words


def master_of(aws: Sandbox) -> Any:
    """Log in to the restored cluster as its master."""
    [cluster] = aws.client("rds").describe_db_clusters(DBClusterIdentifier="staging")["DBClusters"]
    kept = aws.client("secretsmanager").get_secret_value(SecretId=MASTER)["SecretString"]
    return psycopg2.connect(
        host=cluster["Endpoint"],
        hostaddr=aws.env["PGHOSTADDR"],
        port=aws.facts["postgres_port"],
        dbname="postgres",
        user="postgres",
        password=json.loads(kept)["password"],
        sslmode="verify-full",
        sslrootcert=aws.env["PGSSLROOTCERT"],
    )


def run(aws: Sandbox, prefect: PrefectStack, operation: str, **wishes: Any) -> tuple[int, str]:
    """Run a refresh as a user does, with everything logged; return its exit status and output."""
    wish = request(aws, operation_id=operation, master_secret_id=MASTER, **safe_data() | wishes)
    verbose = json.dumps({"PREFECT_LOGGING_LEVEL": "DEBUG"})
    commands = [
        [
            *prefect_command("deployment", "run", "restore-aurora-cluster/refresh", "--watch"),
            *("--param", f"request={json.dumps(wish)}", "--job-variable", f"env={verbose}"),
        ],
        [sys.executable, "-m", "aurora_restore", "status", operation, "--json"],
    ]
    done = [
        subprocess.run(  # noqa: S603
            command,
            env=prefect.environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in commands
    ]
    return done[0].returncode, "".join(each.stdout + each.stderr for each in done)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_place_holds_a_password(
    aws: Sandbox, worker: PrefectStack, operation: str, record_property: Any
) -> None:
    """
    After a refresh that succeeded and one that failed while it set the roles up, logged in full, no
    password of them is anywhere; a word that is put there is found everywhere.
    """
    words, said, processes = mark(aws), list[str](), Processes()
    planted = f"Planted{uuid4().hex}"
    nowhere = [
        {"name": "app", "secret_id": aws.facts["app_secret_arn"]},
        {
            "name": "reporting",
            "secret_id": aws.facts["reporting_secret_arn"],
            "access": "read_only",
            "schemas": ["nowhere"],
        },
    ]
    with processes.watched():
        failed, told = run(aws, worker, f"{operation}-bad", roles=nowhere)
        said.append(told)
        succeeded, told = run(aws, worker, f"{operation}-good")
        said.append(told)
        assert (failed != 0, succeeded) == (True, 0), said
        places = sinks(aws, worker, processes, said)
        wait_until(lambda: f"{operation}-good" in rows(worker, "events"))
        contents = {name: read() for name, read in places.items()}
        planting = plants(aws, worker, said, planted)
        for plant in planting.values():
            plant()

    found = [name for name, content in contents.items() if any(word in content for word in words)]
    missed = [name for name, read in places.items() if planted not in read()]
    record_property("cases", len(places))
    record_property("wrong", len({*found, *missed}))
    record_property("found", len(found))
    assert found == []
    assert missed == []
    assert planting.keys() == places.keys()
    # The passwords are the ones that were used.
    assert "reporting" in contents["DynamoDB"]
