"""The program `aurora-restore`: a script that `make` and the image put beside their python."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deployments" / "aurora-restore"


def laid_out(checkout: Path) -> Path:
    """Return the program of a checkout that was set up: a link to the code, and a venv."""
    venv, ours = checkout / ".venv", Path(sys.prefix)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    for name in ("lib", "pyvenv.cfg"):
        (venv / name).symlink_to(ours / name)
    (checkout / "aurora_restore").symlink_to(ROOT / "aurora_restore")
    return Path(shutil.copy(SCRIPT, venv / "bin" / "aurora-restore"))


def run(program: str, *arguments: str, cwd: Path, path: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(  # noqa: S603
        [program, *arguments],
        cwd=cwd,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("by", ["path", "name"])
def test_runs_from_any_folder(tmp_path: Path, by: str) -> None:
    """
    Also in a folder with a blank in its name, and where modules of the reader's lie about.
    """
    program = laid_out(tmp_path / "a checkout")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secrets.py").write_text("raise SystemExit(99)\n")
    path = f"{program.parent}:/usr/bin:/bin"

    done = run(str(program) if by == "path" else program.name, "--help", cwd=elsewhere, path=path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout


def test_exit_code_is_the_programs(tmp_path: Path) -> None:
    """
    A script sees how it ended.
    """
    program = laid_out(tmp_path)

    done = run(str(program), "nonsense", cwd=tmp_path, path="/usr/bin:/bin")

    assert done.returncode == 2
    assert done.stderr.startswith("aurora-restore: ")


def test_make_and_the_image_put_it_in_place() -> None:
    """
    Both take this file, and it can be run.
    """
    makefile, image = (ROOT / name for name in ("Makefile", "deployments/Dockerfile"))

    assert os.access(SCRIPT, os.X_OK)
    setting_up = makefile.read_text().partition("$(READY): ")[2].partition("\n\n")[0]
    assert "cp deployments/aurora-restore $(BIN)/aurora-restore" in setting_up
    assert setting_up.partition("\n")[0].split() == [
        "requirements.lock",
        "deployments/aurora-restore",
    ]
    copied = "COPY deployments/aurora-restore /opt/venv/bin/aurora-restore"
    assert re.search(rf"^{copied}$", image.read_text(), re.MULTILINE)
