"""The image without a container: the steps of deployments/Dockerfile, carried out in a folder."""

import fcntl
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from demo.stack import REPOSITORY

DOCKERFILE = REPOSITORY / "deployments" / "Dockerfile"


@dataclass(frozen=True)
class Image:
    """A folder that stands for the image's root, and the image's ENV as it is there."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> Path:
        return self.root / "opt" / "aurora-restore"

    @property
    def python(self) -> Path:
        return self.root / "opt" / "venv" / "bin" / "python"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions: each word in capitals, and what follows it."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in pairs]


def build(root: Path) -> Image:
    """Carry out the first stage's steps, unless that is done, and take the ENV of the second."""
    first, second = _stages(instructions(DOCKERFILE.read_text()))
    root.mkdir(exist_ok=True)
    with root.with_suffix(".made").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)  # two workers may come here at once
        if made.tell() == 0:
            _carry_out(first, root)
            made.write("made")
    environment: dict[str, str] = {}
    for word, rest in second:
        if word == "ENV":
            environment |= dict(part.split("=", 1) for part in shlex.split(rest))
    return Image(root, {name: _moved(root, text) for name, text in environment.items()})


def _carry_out(steps: list[tuple[str, str]], root: Path) -> None:
    folder = root
    for word, rest in steps:
        if word == "WORKDIR":
            folder = _here(root, rest)
            folder.mkdir(parents=True)
        elif word == "COPY":
            source, target = rest.split()
            _copy(REPOSITORY / source, folder / _here(root, target))
        elif word == "RUN":
            command = re.sub(r"(?<![\w.])/(?=opt/|tmp/)", f"{root}/", rest)
            command = re.sub(r"^python3 ", f"{sys.executable} ", command)
            _run(command, folder)
    (root / "scratch").mkdir(mode=0o700)


def _stages(steps: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    starts = [number for number, (word, _) in enumerate(steps) if word == "FROM"]
    assert len(starts) == 2
    return [steps[starts[0] + 1 : starts[1]], steps[starts[1] + 1 :]]


def _here(root: Path, place: str) -> Path:
    return root / place.removeprefix("/") if place.startswith("/") else Path(place)


def _moved(root: Path, text: str) -> str:
    return re.sub(r"(?<![\w.])/(?=opt/|scratch\b)", f"{root}/", text)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(command: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S602 - the Dockerfile's own words
        command, shell=True, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
