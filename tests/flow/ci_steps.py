"""A workflow's job without GitHub: its shell steps, run as GitHub's runner runs them."""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.stack import REPOSITORY

WORKFLOWS = REPOSITORY / ".github" / "workflows"
DIGEST = "sha256:" + "0" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# What GitHub's machine has by itself, and this one need not have. `make` and the step Install would
# make a venv of the lock: here it is the one of the tests.
PROGRAMS = {
    "docker": f"""#!/bin/sh
echo "docker $*" >> docker.log
case $1 in
  login) test -n "$(cat)" ;;
  push) ! test -e pushed && touch pushed ;;
  inspect) echo "${{4%:*}}@{DIGEST}" ;;
esac
""",
    "make": '#!/bin/sh\nexec /usr/bin/make -o .venv/.ready "$@"\n',
}
INSTALLS = {"Install"}
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")


@dataclass
class Runner:
    """A checkout, an environment, and what the workflow's expressions find (`vars`, `inputs`).

    `instead` are variables that have to be other than the workflow says, on this machine.
    """

    checkout: Path
    environment: dict[str, str]
    context: dict[str, dict[str, Any]]
    instead: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out the checkout, with programs of its own in front of the machine's."""
        self.checkout.mkdir()
        for each in REPOSITORY.iterdir():
            if each.name != ".venv":
                (self.checkout / each.name).symlink_to(each)
        (self.checkout / ".venv").symlink_to(sys.prefix)
        programs = self.checkout.with_name("programs")
        programs.mkdir()
        for name, text in PROGRAMS.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        # Of the steps before the venv is there: without any package.
        (programs / "python").symlink_to(Path(sys.executable).resolve())
        self.environment |= {"PATH": f"{programs}:/usr/bin:/bin", "GITHUB_SHA": COMMIT}

    def has(self, program: Path) -> None:
        """Put a program of this machine among the runner's."""
        (self.checkout.with_name("programs") / program.name).symlink_to(program)

    def run(self, workflow: str, only: str = "", **more: Any) -> "subprocess.CompletedProcess[str]":
        """Run the steps of a workflow's job up to one that fails; return that or the last one.

        `only` is the name of the one step to run; `more` changes variables of GitHub's.
        """
        [job] = yaml.safe_load((WORKFLOWS / f"{workflow}.yml").read_text())["jobs"].values()
        context = self.context | {"vars": self.context["vars"] | more, "steps": {}}
        said = ""
        for step in job["steps"]:
            if "run" not in step or step["name"] in INSTALLS or only not in {"", step["name"]}:
                continue
            outputs = self.checkout / "github-output"
            outputs.write_text("")
            given = {**job.get("env", {}), **step.get("env", {})}
            filled = {name: text_of(str(each), context) for name, each in given.items()}
            done = subprocess.run(  # noqa: S603
                ["/bin/bash", "-e", "-c", step["run"]],
                cwd=self.checkout,
                env=self.environment | filled | self.instead | {"GITHUB_OUTPUT": str(outputs)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            said += done.stdout
            if done.returncode:
                break
            lines = (line.partition("=") for line in outputs.read_text().splitlines())
            written = {name: value for name, _, value in lines}
            context["steps"][step.get("id", "")] = {"outputs": written}
        return subprocess.CompletedProcess(step["name"], done.returncode, said)


def text_of(text: str, context: dict[str, Any]) -> str:
    """Return a text with its expressions evaluated.

    Source: GitHub's "Evaluate expressions in workflows and actions"; of it names, texts, ==, && and
    ||, as the workflows use them.
    """
    return _EXPRESSION.sub(lambda found: str(_either(found[1], context)), text)


def _either(expression: str, context: dict[str, Any]) -> Any:
    values = [_both(each, context) for each in expression.split("||")]
    return next((each for each in values if each), values[-1])


def _both(expression: str, context: dict[str, Any]) -> Any:
    values = [_equal(each, context) for each in expression.split("&&")]
    return next((each for each in values if not each), values[-1])


def _equal(expression: str, context: dict[str, Any]) -> Any:
    first, *others = [_value(each.strip(), context) for each in expression.split("==")]
    return first == others[0] if others else first


def _value(word: str, context: dict[str, Any]) -> Any:
    if word.startswith("'"):
        return word.strip("'")
    found: Any = context
    for name in word.split("."):
        found = found[name]
    return found
