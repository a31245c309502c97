"""The commands of deployments/README.md: each exists, and every variable has a value by then."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from botocore import xform_name
from botocore.session import Session

from aurora_restore.cli import doctor
from aurora_restore.cli.app import COMMANDS as PROGRAMS_COMMANDS
from aurora_restore.inheriting import missing_fields
from aurora_restore.request import RestoreRequest
from deployments import check, worker
from deployments.check import PLACEHOLDER, PREFECT_YAML
from deployments.outputs import variable
from deployments.pool import TEMPLATE
from tests.infra import stacks
from tests.infra.templates import GITHUB, SOURCE, TARGET, parsed
from tests.unit.test_deploy_check import GOOD as OF_DEPLOYMENTS

GUIDE = Path(__file__).resolve().parents[2] / "deployments" / "README.md"


def blocks_of(text: str) -> list[str]:
    """Return the commands of a page: each fenced block that names no language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in fenced if not language]


BLOCKS = blocks_of(GUIDE.read_text())
TEXT = "".join(BLOCKS).replace("\\\n", " ")
# What a reader has beside the packages of the lock, or the shell knows.
MACHINES = {"aws", "docker", "gh", "git", "make", "sed"}
WORDS = {"unset", "done", "eval", "export", "for", "true"}
COMMANDS = sorted({" ".join(found) for found in re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)", TEXT)})
GLOBAL = {"--output", "--query", "--region"}
RENAMED = {"--notification-endpoint": "--endpoint"}  # --endpoint-url is another thing
DEPLOY = {"--stack-name", "--capabilities", "--template-file", "--parameter-overrides"}
OWN = {"cloudformation deploy": DEPLOY, "ecr get-login-password": set[str]()}


def typed(text: str) -> list[list[str]]:
    """Return the words of each command of a script: those in pipes and substitutions as well."""
    text = re.sub(r"(?:^|\s)# [^\n]*", "", text, flags=re.MULTILINE)
    text = re.sub(r"'[^'\n]*'", "Q", text)
    text = text.replace('"$(', "$(")
    text = re.sub(r'"[^"\n()]*"', "Q", text).replace('"', "")
    found = []
    for piece in re.split(r"\$\(|\|\|?|&&|;|\n|\bdo\b|\bin\b", text):
        words = piece.rstrip(" )").split()
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


TYPED = typed(TEXT)


def options_of(words: list[str]) -> set[str]:
    return {each.partition("=")[0] for each in words if each.startswith("--")}


def helped(*command: str) -> str:
    """Return the help of a command of the venv; it must have one."""
    asked = [sys.executable, "-m", *command, "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_command_is_one() -> None:
    """
    The first word of each line is a program: of the machine, or of the venv that `make` makes.
    """
    venvs = {"aurora-restore", "prefect", "python"}

    assert {words[0] for words in TYPED} - WORDS <= MACHINES | venvs
    assert {words[0] for words in TYPED} >= venvs
    assert shutil.which("prefect", path=str(Path(sys.executable).parent))


def test_venv_is_on_the_path_before_it_is_needed() -> None:
    """
    The first commands of the page make it and put it there.
    """
    first = [words[0] for words in TYPED][:2]

    assert first == ["make", "export"]
    assert TEXT.splitlines()[1] == 'export PATH="$PWD/.venv/bin:$PATH"'


def test_make_has_the_targets() -> None:
    """
    Each is in the Makefile, with the help that `make` prints.
    """
    text = (GUIDE.parent.parent / "Makefile").read_text()
    targets = {target for words in TYPED if words[0] == "make" for target in words[1:]}

    assert targets == {"setup", "pool", "deploy"}
    for target in targets:
        assert re.search(rf"^{target}: \$\(READY\)$", text, re.MULTILINE)
        assert f"make {target} " in text


def test_python_has_the_modules() -> None:
    """
    Each `python -m` is a module of this repository or of the lock.
    """
    modules = {words[2] for words in TYPED if words[:2] == ["python", "-m"]}

    assert modules >= {"deployments.outputs", "deployments.worker", "deployments.restore"}
    assert all(find_spec(each) for each in modules)


def test_prefect_has_the_commands() -> None:
    """
    Each with its options.
    """
    for words in (each for each in TYPED if each[0] == "prefect"):
        said = helped("prefect", *words[1:3])
        assert f"Usage: prefect {' '.join(words[1:3])} " in said
        assert all(f"{option} " in said for option in options_of(words)), words


def test_the_program_has_the_commands() -> None:
    """
    Each with its options.
    """
    for words in (each for each in TYPED if each[0] == "aurora-restore"):
        assert words[1] in PROGRAMS_COMMANDS
        said = helped("aurora_restore", words[1])
        assert all(f"{option} " in said for option in options_of(words)), words


def test_prefect_is_logged_in_to_before_it_is_asked() -> None:
    """
    Address and word are exported before the first command that needs them.
    """
    asked = re.search(r"^(make (pool|deploy)|prefect|aurora-restore)\b", TEXT, re.MULTILINE)

    assert asked
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        assert f"export {name}=" in TEXT[: asked.start()]


def test_each_step_says_whose_account_it_acts_in() -> None:
    """
    Whoever goes on in the middle is not in the account of the step before: a step that asks AWS
    begins with profile and Region, the image's too; what is done to the source is done there.
    """
    asks = re.compile(r"^(aws|docker|make pool|make deploy|aurora-restore)\b", re.MULTILINE)
    steps = ["".join(blocks_of(each)) for each in GUIDE.read_text().split("\n## ")]
    for step in (each for each in steps if asks.search(each)):
        first, *_ = step.splitlines()
        assert re.match(r"(make setup|export AWS_PROFILE=\w+ AWS_DEFAULT_REGION=[\w-]+$)", first)

    profile = ""
    for line in TEXT.splitlines():
        profile = next(iter(re.findall(r"\bAWS_PROFILE=(\w+)", line)), profile)
        of_the_source = re.search(
            r"source-account.yaml|^aws kms \S+ .*SOURCE|-cluster-snapshots", line
        )
        # What is removed has a test of its own.
        if re.match(r"(aws|docker)\b(?!.* stack-delete| cloudformation delete)", line):
            assert profile == ("source" if of_the_source else "target"), line


def test_image_is_for_what_tasks_run_on() -> None:
    """
    The pool's template names no platform, which is x86 for ECS; the registry is logged in to first.
    """
    definition = json.loads(TEMPLATE.read_text())["job_configuration"]["task_definition"]
    docker = [words for words in TYPED if words[0] == "docker"]

    assert "runtimePlatform" not in definition
    assert [words[1] for words in docker] == ["login", "build", "push", "inspect"]
    assert docker[1][2:4] == ["--platform", "linux/amd64"]


def test_tasks_may_read_prefects_secret() -> None:
    """
    Made before the stack of the execution role, and the same for role, worker, CI and pool; under
    Secrets Manager's own key, which is what those roles may use.
    """
    [made] = re.findall(r"PREFECT_SECRET=\$\(aws secretsmanager create-secret[^\n]*", TEXT)
    after = TEXT.partition(made)[2]
    given = dict(re.findall(r"\b(\w*Secret\w*Arn|ECS_PREFECT_\w+_ARN)=(\S+)", TEXT))

    assert "--kms-key-id" not in made
    assert "target-account.yaml" in after
    assert given == {
        "PrefectSecretArn": "$PREFECT_SECRET",
        "PrefectAuthStringSecretArn": "$PREFECT_SECRET",
        "ECS_PREFECT_AUTH_STRING_SECRET_ARN": "$PREFECT_SECRET",
    }
    for template in ("target-account", "github-roles"):
        [line] = re.findall(rf"^[^\n]*{template}.yaml[^\n]*$", TEXT, re.MULTILINE)
        assert "PrefectSecretArn=" in line


def test_first_restore_begins_with_a_look() -> None:
    """
    The command that doctor names, under the one role that the source role trusts.
    """
    runs = [" ".join(words) for words in TYPED if words[:3] == ["prefect", "deployment", "run"]]

    assert runs[0] == doctor.NEXT.format(doctor.REFRESH)
    assert runs[1:] == [f"prefect deployment run {doctor.REFRESH} --watch"]


def test_request_can_be_of_an_empty_account() -> None:
    """
    With the lines of prefect.yaml that are commented out taken in, nothing is left to be inherited,
    and the deployments are valid; the secrets are called as the target account's stack allows.
    """
    text = PREFECT_YAML.read_text()
    lines = r"^    # (?=instance_class:|roles:|  - \{name:)"
    taken_in = re.sub(lines, "    ", text, flags=re.MULTILINE)
    filled = PLACEHOLDER.sub(lambda variable: OF_DEPLOYMENTS[variable[1]], taken_in)
    request = RestoreRequest.model_validate(yaml.safe_load(filled)["definitions"]["request"])

    assert check.problems(taken_in, OF_DEPLOYMENTS) == []
    assert missing_fields(request, None, None) == []
    secrets = {each.name: each.secret_id for each in request.roles}
    assert secrets == {name: f"aurora-restore/{name}" for name in ("app", "reporting")}


def test_removing_goes_from_what_needs_to_what_is_needed() -> None:
    """
    Clean-up while the pool is there, a look before it; each stack is waited for; the worker's stack
    goes before the target account's, whose boundary its role has, and the source account's too.
    """
    [section] = [each for each in GUIDE.read_text().split("\n## ") if each.startswith("Removing")]
    lines = [" ".join(words) for words in typed("".join(blocks_of(section)))]
    deletes = [line.split()[-1] for line in lines if " delete-stack " in line]

    assert deletes == [
        "ecs-target-worker",
        "aurora-restore-github",
        "aurora-restore",
        "aurora-restore",
    ]
    for number, line in enumerate(lines):
        if " delete-stack " in line:
            waiting = line.replace("delete-stack", "wait stack-delete-complete")
            assert lines[number + 1] == waiting
    cleaning = [line for line in lines if line.startswith("aurora-restore cleanup")]
    assert cleaning == ["aurora-restore cleanup --dry-run", "aurora-restore cleanup"]
    ends = lines.index(cleaning[-1])
    assert ends < lines.index("prefect deployment delete restore-aurora-cluster/refresh")
    assert ends < lines.index("prefect work-pool delete ecs-target")
    profiles = re.findall(
        r"AWS_PROFILE=(\w+)|delete-stack --stack-name (aurora-restore)\b(?!-)", section
    )
    assert [each for pair in profiles for each in pair if each][-5:] == [
        "source",
        "aurora-restore",
        "target",
        "aurora-restore",
        "target",
    ]


def test_no_more_is_claimed_of_the_roles_than_holds() -> None:
    """
    Marking what is there cannot be told from marking what is made, and the page says so.
    """
    [section] = [each for each in GUIDE.read_text().split("\n## ") if "may do\n" in each]
    actions = json.dumps(stacks.target().policies("FlowTaskRole"))

    assert "rds:AddTagsToResource" in actions
    assert "mark what is called so" in section
    assert "The names are the bound" in section


def test_the_guide_has_commands() -> None:
    """
    The blocks are found, else the tests below say nothing.
    """
    assert len(BLOCKS) >= 10
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("command", COMMANDS)
def test_aws_knows_the_command_and_its_options(command: str) -> None:
    """
    Service, operation and each option are in botocore's model; two commands are the AWS command
    line's own.
    """
    service, operation = command.split()
    used = set()
    for rest in re.findall(rf"\baws {command}\b([^\n|]*)", TEXT):
        used |= {RENAMED.get(each, each) for each in re.findall(r"(?<=\s)--[a-z-]+", rest)}
    if command in OWN:
        assert used <= OWN[command]
        return
    if operation == "wait":
        waiters = Session().create_client(service, region_name="us-west-2").waiter_names
        for waiter in re.findall(rf"\baws {command} ([a-z-]+)", TEXT):
            assert waiter.replace("-", "_") in waiters
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
    given = {variable(each) for each in outputs} | {"ARN", "PATH", "PWD"}

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
