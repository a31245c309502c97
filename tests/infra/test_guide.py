"""The commands of deployments/README.md: AWS knows them, and every variable has a value by then."""

import re
import shlex
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import Session

from deployments import worker
from deployments.check import PLACEHOLDER, PREFECT_YAML
from deployments.outputs import variable
from tests.infra import stacks
from tests.infra.templates import GITHUB, SOURCE, TARGET, parsed

GUIDE = Path(__file__).resolve().parents[2] / "deployments" / "README.md"
_FENCED = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
BLOCKS = [text for language, text in _FENCED if not language]
TEXT = "".join(BLOCKS).replace("\\\n", " ")
COMMANDS = sorted({" ".join(found) for found in re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)", TEXT)})
GLOBAL = {"--output", "--query", "--region"}
RENAMED = {"--notification-endpoint": "--endpoint"}  # --endpoint-url is another thing
DEPLOY = {"--stack-name", "--capabilities", "--template-file", "--parameter-overrides"}


def test_the_guide_has_commands() -> None:
    """
    The blocks are found, else the tests below say nothing.
    """
    assert len(BLOCKS) >= 10
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("command", COMMANDS)
def test_aws_knows_the_command_and_its_options(command: str) -> None:
    """
    Service, operation and each option are in botocore's model; `cloudformation deploy` is the one
    command of the AWS command line's own.
    """
    service, operation = command.split()
    used = set()
    for rest in re.findall(rf"\baws {command}\b([^\n|]*)", TEXT):
        used |= {RENAMED.get(each, each) for each in re.findall(r"(?<=\s)--[a-z-]+", rest)}
    if command == "cloudformation deploy":
        assert used <= DEPLOY
        return
    model = Session().get_service_model(service)
    operations = {xform_name(name).replace("_", "-"): name for name in model.operation_names}

    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    members = shape.members if shape is not None else {}
    options = {f"--{xform_name(name).replace('_', '-')}" for name in members}
    options |= {f"--no-{name.removeprefix('--')}" for name in options}
    required = shape.required_members if shape is not None else []
    assert used - GLOBAL <= options
    assert {f"--{xform_name(name).replace('_', '-')}" for name in required} <= used


def test_every_variable_has_a_value_by_then() -> None:
    """
    It is set in the guide, or an output of a stack of the target account.
    """
    outputs = stacks.target().outputs() | stacks.github().outputs()
    given = {variable(each) for each in outputs} | {"ARN"}

    for line in TEXT.splitlines():
        for name in re.findall(r"\$\{?([A-Z_]+)", line):
            assert name in given, line
        given |= set(re.findall(r"\b([A-Z][A-Z_]+)=", line))


def test_deploying_names_what_the_templates_ask_for() -> None:
    """
    Each stack gets the parameters that have no default, and none that it does not have.
    """
    found = dict(
        re.findall(r"--template-file (?:\S+/)?(\S+)\.\w+\s+--parameter-overrides\s+([^\n]*)", TEXT)
    )

    stacks_of = {path.stem: parsed(path) for path in (TARGET, SOURCE, GITHUB)}
    for name, template in (stacks_of | {"worker": worker.mended(worker.upstream())}).items():
        declared = template["Parameters"]
        named = {each.partition("=")[0] for each in shlex.split(found[name])}
        assert {name for name, each in declared.items() if "Default" not in each} <= named
        assert named <= set(declared)


def test_make_deploy_finds_every_variable() -> None:
    """
    What prefect.yaml asks for is exported by the guide, or an output.
    """
    exported = set(re.findall(r"export (?:[^\n]* )?([A-Z_]+)=", TEXT))
    exported |= set(re.findall(r"\b([A-Z_]+)=\S", "\n".join(re.findall(r"export [^\n]*", TEXT))))
    outputs = {variable(each) for each in stacks.target().outputs()}

    assert set(PLACEHOLDER.findall(PREFECT_YAML.read_text())) <= exported | outputs
