"""The image: its steps in a clean environment, and itself where it can be built without Docker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from image_steps import DOCKERFILE, Image, instructions
from test_worker import head, statuses, wait_until

from aurora_restore.cli.app import _version
from aurora_restore.details import Step
from demo.facts import deployment_values, request, settings
from demo.stack import REPOSITORY, PrefectStack
from sandbox import Sandbox

pytestmark = pytest.mark.timeout(900)

TOOLS = ("buildah", "mmdebstrap")
PACKAGES = "python3,python3-venv,ca-certificates"
HOST_FILES = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip", "/opt/wheels")
BASE, NAME = "localhost/base", "localhost/aurora-restore"
IMPORTS = "import flows.restore, flows.watchdog, psycopg2, boto3, prefect; print('imported')"
BUILDAH = {"BUILDAH_ISOLATION": "chroot"}


def run_in(image: Image, *command: str, **more: str) -> str:
    """Run a command of the image with its environment and no other; return what it prints."""
    done = subprocess.run(  # noqa: S603
        [str(image.python), *command],
        env=image.environment | more,
        cwd=image.code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_steps_make_what_a_run_needs(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """
    In a clean environment, with the image's variables alone, the flows and the commands load.
    """
    size = sum(each.stat().st_size for each in image.root.rglob("*") if each.is_file())

    assert run_in(image, "-c", IMPORTS).strip() == "imported"
    assert "doctor" in run_in(image, "-m", "aurora_restore", "--help")
    assert run_in(image, "-m", "aurora_restore", "--version").strip() == _version()
    assert os.access(image.root / "opt" / "venv" / "bin" / "aurora-restore", os.X_OK)
    with capsys.disabled():
        sys.stdout.write(f"\nimage: {size / 2**20:.0f} MiB beside its base (files of /opt)\n")


def test_nothing_else_is_installed(image: Image) -> None:
    """
    No installer, no compiler's output, no tests: what a run does not need is not there.
    """
    program = "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"

    installed = set(run_in(image, "-c", program).split())

    assert "prefect" in installed
    assert installed & {"pip", "setuptools", "wheel", "pytest", "moto", "prefect-aws"} == set()
    assert {each.name for each in image.code.iterdir()} <= {
        "flows",
        "tasks",
        "aurora_restore",
        "files",
        "pyproject.toml",
    }


def test_code_is_compiled(image: Image) -> None:
    """
    Each module has its .pyc: a read-only root file system would never get one.
    """
    for folder in (image.code / "flows", image.code / "aurora_restore"):
        for module in folder.rglob("*.py"):
            assert list((module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")), module


def test_settings_of_prefect_are_understood(image: Image) -> None:
    """
    Prefect reads each of the image's variables as it is meant.
    """
    program = (
        "import json; from prefect.settings import get_current_settings as s; k = s(); "
        "print(json.dumps([k.server.ephemeral.enabled, k.results.persist_by_default, "
        "k.flows.heartbeat_frequency, k.logging.extra_loggers, str(k.home)]))"
    )

    assert json.loads(run_in(image, "-c", program)) == [
        False,
        False,
        60,
        ["aurora_restore"],
        f"{image.root}/scratch/prefect",
    ]


def test_missing_api_url_fails_at_once(image: Image) -> None:
    """
    Without PREFECT_API_URL no server of its own is started: the run ends with an error.
    """
    began = time.monotonic()

    done = subprocess.run(  # noqa: S603
        [str(image.python), "-m", "prefect", "flow-run", "execute", "0" * 32],
        env=image.environment,
        cwd=image.code,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "PREFECT_API_URL" in done.stdout + done.stderr
    assert time.monotonic() - began < 60


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image, built by buildah on a Debian made here; the folder it is mounted on."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        reason = f"{', '.join(missing)} is not installed" if missing else "only root can"
        pytest.skip(f"the image is NOT built here: {reason}")
    root = tmp_path_factory.mktemp("base")
    tarball, store = root / "base.tar", tmp_path_factory.mktemp("store")
    storage = ("--root", f"{store}/root", "--runroot", f"{store}/run")
    _run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tarball))
    container = _run("buildah", *storage, "from", "scratch").strip()
    _run("buildah", *storage, "add", container, str(tarball), "/")
    _run("buildah", *storage, "commit", "--rm", container, BASE)
    mounts = [f"--volume={each}:{each}:ro" for each in HOST_FILES if Path(each).exists()]
    arguments = [f"--build-arg={name}" for name in os.environ if name.startswith("PIP_")]
    file = str(REPOSITORY / "deployments" / "Dockerfile")
    base = ("--build-arg", f"BASE={BASE}")
    _run("buildah", *storage, "bud", *base, *arguments, *mounts, "-f", file, "-t", NAME, ".")
    container = _run("buildah", *storage, "from", NAME).strip()
    yield Path(_run("buildah", *storage, "mount", container).strip())
    _run("buildah", *storage, "umount", container)
    _run("buildah", *storage, "rm", container)
    _run("buildah", *storage, "rmi", "--all", "--force")


def _run(*command: str) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        env=os.environ | BUILDAH,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
    return done.stdout


def inside(root: Path, command: Sequence[str], environment: dict[str, str]) -> list[str]:
    """Return a command line that runs one as ECS does: user 10001, root read-only, as process 1."""
    variables = [f"{name}={text}" for name, text in environment.items()]
    script = (
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && "
        f"mount -t tmpfs -o mode=0700,uid=10001,gid=10001 scratch {root}/scratch && "
        f"mount -t proc proc {root}/proc && "
        f"{{ cp {root.parent}/ca.pem {root}/scratch/ 2>/dev/null || true; }} && "
        f'exec chroot --userspec=10001:10001 {root} env -i "$@"'
    )
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"]
    return [*unshare, *variables, "sh", "-c", 'cd /opt/aurora-restore && exec "$@"', "sh", *command]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The image's ENV, as it is in the image."""
    found: dict[str, str] = {}
    for word, rest in instructions(DOCKERFILE.read_text()):
        if word == "ENV":
            found |= dict(part.split("=", 1) for part in rest.split())
    return found


@pytest.mark.long
def test_image_runs_locked_down(
    built: Path, environment: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    """
    User 10001, nothing writable but /scratch: the flows load, and nothing else can be written.
    """
    program = (
        f"{IMPORTS}; import os; print(os.getuid(), os.getpid())\n"
        "for place in ('/opt/x', '/x', '/tmp/x', '/opt/aurora-restore/flows/x'):\n"
        "    try: open(place, 'w'); print('wrote', place)\n"
        "    except OSError: pass\n"
        "open('/scratch/x', 'w')"
    )

    done = subprocess.run(  # noqa: S603
        inside(built, ["python", "-c", program], environment),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.split()) == (0, ["imported", "10001", "1"]), done.stderr
    record_property("size", round(_size(built)))
    record_property("ours", round(_size(built, "opt")))


def _size(root: Path, below: str = ".") -> float:
    said = subprocess.run(  # noqa: S603
        ["du", "-sxb", str(root / below)],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return int(said.stdout.split()[0]) / 2**20


@pytest.mark.long
def test_image_has_no_compiler(built: Path) -> None:
    """
    Nothing that builds or installs is in it, nor a file that everybody may write.
    """
    names = {
        each.name for folder in ("usr/bin", "opt/venv/bin") for each in (built / folder).iterdir()
    }

    assert names & {"gcc", "cc", "ld", "make", "pip", "pip3"} == set()
    assert (built / "scratch").stat().st_uid == 10001


def test_authorities_are_inside(image: Image) -> None:
    """
    RDS's certificate authorities are where the product looks for them.
    """
    program = "from aurora_restore.postgres import BUNDLE; print(BUNDLE.read_text())"

    assert run_in(image, "-c", program).count("BEGIN CERTIFICATE") > 50


@pytest.fixture
def server(aws: Sandbox) -> Iterator[PrefectStack]:
    """A Prefect server that knows the deployments as the image has them; nobody takes runs up."""
    with PrefectStack(deployment_values(aws)) as stack:
        stack.start_server()
        stack.wait_until_ready()
        stack.environment["AURORA_RESTORE_CODE"] = "/opt/aurora-restore"
        stack.prefect(
            "work-pool", "create", stack.environment["AURORA_RESTORE_WORK_POOL"], "-t", "process"
        )
        stack.deploy()
        yield stack


@pytest.mark.long
def test_run_in_the_image_is_stopped_and_goes_on(
    built: Path, environment: dict[str, str], aws: Sandbox, server: PrefectStack
) -> None:
    """
    The image's own command, as process 1 of user 10001 on a read-only root: SIGTERM makes it let go
    and ask to be started again, and started again it ends the operation in success.
    """
    aws.plant("copies-in-flight", times=None)
    shutil.copy(aws.facts["ca_file"], built.parent / "ca.pem")
    given = settings(aws) | {"PGSSLROOTCERT": "/scratch/ca.pem"}
    given["PREFECT_API_URL"] = server.environment["PREFECT_API_URL"]
    found = server.ask("GET", "deployments/name/restore-aurora-cluster/refresh").json()
    made = server.ask(
        "POST",
        f"deployments/{found['id']}/create_flow_run",
        json={"parameters": {"request": request(aws, operation_id="op-image")}},
    ).json()
    given["PREFECT__FLOW_RUN_ID"] = made["id"]
    command = ["python", "-m", "prefect", "flow-run", "execute"]

    run = subprocess.Popen(  # noqa: S603
        inside(built, command, environment | given),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: statuses(aws, "op-image").get(Step.COPY_SNAPSHOT) == "IN_PROGRESS")
    [first] = _children(run.pid)
    assert psutil.Process(first).uids().real == 10001
    os.kill(first, signal.SIGTERM)

    assert run.wait(timeout=60) == 0
    assert head(aws, "op-image")["status"] == "INTERRUPTED"
    state = server.ask("GET", f"flow_runs/{made['id']}").json()["state"]
    assert state["name"] == "AwaitingRetry"
    aws.clear()
    again = subprocess.run(  # noqa: S603
        inside(built, command, environment | given), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert head(aws, "op-image")["status"] == "SUCCESS"


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
