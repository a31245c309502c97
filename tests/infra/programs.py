"""Programs that tests use beside the packages of .venv."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def installed(package: str, program: str) -> Path:
    """Return a program of the packages in tests/infra/PACKAGE.lock.

    They are installed once, into the folder .PACKAGE.
    """
    folder, lock = ROOT / f".{package}", HERE / f"{package}.lock"
    folder.mkdir(exist_ok=True)
    with (folder / "installed.lock").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)  # two workers may come here at once
        done.seek(0)
        if done.read() != lock.read_text():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-deps"]
            wanted = ["--require-hashes", "-r", str(lock)]
            subprocess.run([*pip, *wanted], check=True, timeout=300)  # noqa: S603
            done.truncate(0)
            done.write(lock.read_text())
    return folder / "bin" / program


def node_packages(locked: Path, cache: str) -> Path:
    """Return the folder where npm has installed the packages that a folder's lock names.

    They are installed once, into the folder `cache` of the repository, without their own scripts.
    Skips the test, and says so, where Node.js or npm is missing or cannot install them.
    """
    npm, place = shutil.which("npm"), ROOT / cache
    if shutil.which("node") is None or npm is None:
        pytest.skip(f"{cache} is NOT made here: Node.js or npm is missing")
    place.mkdir(exist_ok=True)
    wanted = (locked / "package-lock.json").read_text()
    with (place / "installed-lock.json").open("a+") as installed:
        fcntl.flock(installed, fcntl.LOCK_EX)  # two workers may come here at once
        installed.seek(0)
        if installed.read() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(locked / name, place / name)
            done = subprocess.run(  # noqa: S603
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                cwd=place,
                check=False,
                timeout=150,
            )
            if done.returncode != 0:
                if os.environ.get("CI"):
                    raise AssertionError(f"npm could not install {cache}")
                pytest.skip(f"npm could not install {cache}: is its registry reachable?")
            installed.truncate(0)
            installed.write(wanted)
    return place
