"""Programs that tests use and that want other versions of what the product needs."""

import fcntl
import subprocess
import sys
from pathlib import Path

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
