"""The work pool: its job template, filled from the environment, checked, and put into Prefect."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aurora_restore.cli.job_template import environment_of, template_problems
from aurora_restore.cli.prefect_api import PrefectApi
from aurora_restore.cli.prefect_run import PrefectUnreachable
from aurora_restore.settings import Settings, given
from deployments.check import PLACEHOLDER

TEMPLATE = Path(__file__).resolve().parent / "ecs" / "base-job-template.json"
POOL = "AURORA_RESTORE_WORK_POOL"
# Prefect Cloud asks for a key, a server of one's own for an auth string, one in a closed network
# for neither.
OPTIONAL = {"ECS_PREFECT_API_KEY_SECRET_ARN", "ECS_PREFECT_AUTH_STRING_SECRET_ARN"}
LISTS = {"ECS_SUBNET_IDS", "ECS_SECURITY_GROUP_ID"}  # with commas between
PREFIX = "AURORA_RESTORE_"
BOUNDS = f"{PREFIX}ALLOWED_"  # what bounds which clusters and accounts runs may change
DROP_BOUNDS = "--drop-bounds"
# A role that asks for no external id takes any, so one can always be given.
SOURCE_ROLE, EXTERNAL_ID = f"{PREFIX}SOURCE_ROLE_ARN", f"{PREFIX}SOURCE_EXTERNAL_ID"


def problems(text: str, environment: Mapping[str, str]) -> list[str]:
    """Return what keeps a job template from being used, a line each."""
    wanted = set(PLACEHOLDER.findall(text)) | _required_settings()
    found = [
        f"{name}: not set; the work pool needs it"
        for name in sorted(wanted - OPTIONAL)
        if not environment.get(name)
    ]
    if environment.get(SOURCE_ROLE) and not environment.get(EXTERNAL_ID):
        told = "the source role asks for it (ExternalId of the source account's stack)"
        found.append(f"{EXTERNAL_ID}: not set; {told}")
    return found or template_problems(filled(text, environment))


def filled(text: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the template with its variables filled in, and every setting as the container's.

    A setting is any AURORA_RESTORE_<NAME> that docs/operations.md lists; all that are set are
    taken. Prefect would fill `{{ $NAME }}` in the worker, from the worker's environment, with an
    empty text where there is none.
    """
    template: dict[str, Any] = _fill(json.loads(text), environment)
    [container] = template["job_configuration"]["task_definition"]["containerDefinitions"]
    container["environment"] = [
        {"name": name, "value": text} for name, text in sorted(given(environment).items())
    ]
    return template


def _fill(document: Any, environment: Mapping[str, str]) -> Any:
    """Fill a document; what an optional variable leaves empty goes."""
    if isinstance(document, dict):
        pairs = ((name, _fill(value, environment)) for name, value in document.items())
        return {name: value for name, value in pairs if value is not None}
    if isinstance(document, list):
        return [item for each in document for item in _items(each, environment)]
    if not isinstance(document, str):
        return document
    names = PLACEHOLDER.findall(document)
    if any(name in OPTIONAL and not environment.get(name) for name in names):
        return None
    return PLACEHOLDER.sub(lambda match: environment[match[1]], document)


def _items(document: Any, environment: Mapping[str, str]) -> Iterator[Any]:
    value = _fill(document, environment)
    if isinstance(document, str) and LISTS & set(PLACEHOLDER.findall(document)):
        yield from value.split(",")
    elif value is not None:
        yield value


def _required_settings() -> set[str]:
    fields = Settings.model_fields.items()
    return {f"{PREFIX}{name.upper()}" for name, field in fields if field.is_required()}


def apply(
    template: Mapping[str, Any], environment: Mapping[str, str], *, drop_bounds: bool = False
) -> int:
    """Make the work pool, or give it this template if it is there; return Prefect's exit code.

    What else an operator has set stays: a pause, a concurrency limit, queues. A setting that runs
    had until now and this environment lacks goes, and is named; but what bounds the clusters that
    they may change goes by `drop_bounds` only: else nothing is done, and 1 returned.

    Raises:
        PrefectUnreachable: Prefect does not say whether it is there.
    """
    name = environment[POOL]
    known = _known(name, environment)
    for lost in (going := _lost((known or {}).get("base_job_template") or {}, template)):
        sys.stderr.write(f"work pool {name}: its runs have {lost} no more; it is not set here\n")
    if any(each.startswith(BOUNDS) for each in going) and not drop_bounds:
        sys.stderr.write(
            f"work pool {name}: nothing is changed, since {BOUNDS}... bounds what runs may delete. "
            f"Set it here, or drop it by python -m deployments.pool {DROP_BOUNDS}\n"
        )
        return 1
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(template, file)
        file.flush()
        made = ["create", name, "-t", "ecs"] if known is None else ["update", name]
        command = [sys.executable, "-m", "prefect", "--no-prompt", "work-pool", *made]
        command += ["--base-job-template", file.name]
        return subprocess.run(command, check=False).returncode  # noqa: S603


def _known(name: str, environment: Mapping[str, str]) -> dict[str, Any] | None:
    api = PrefectApi(environment)
    try:
        found: dict[str, Any] | None = api.get(f"work_pools/{name}")
    finally:
        api.close()
    return found


def _lost(old: dict[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(environment_of(old).keys() - environment_of(dict(new)).keys())


def main(arguments: list[str]) -> int:
    """Make or change the work pool; with `--print` only print the template that it would get.

    `--drop-bounds` lets the settings go that bound what runs may change.
    """
    text, environment = TEMPLATE.read_text(), dict(os.environ)
    found = problems(text, environment)
    for line in found:
        sys.stderr.write(f"{TEMPLATE.name}: {line}\n")
    if found:
        return 1
    template = filled(text, environment)
    if "--print" in arguments:
        sys.stdout.write(json.dumps(template, indent=2) + "\n")
        return 0
    try:
        return apply(template, environment, drop_bounds=DROP_BOUNDS in arguments)
    except PrefectUnreachable as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
