"""The files that a request names: read by preflight, and again, unchanged, when they are used."""

from collections.abc import Sequence

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from aurora_restore import files, scripts
from aurora_restore.access.declared import DatabaseRole
from aurora_restore.demands import Script
from aurora_restore.errors import Refused
from aurora_restore.files import TextFile
from aurora_restore.plan import Plan
from aurora_restore.request import RestoreRequest, one_line
from aurora_restore.sessions import target_client
from aurora_restore.settings import settings


class _RoleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roles: list[DatabaseRole]


def read(request: RestoreRequest, name: str) -> TextFile:
    """Return a file as it is now; as `files.read`."""
    return files.read(name, settings().files, target_client("s3", request.target_region))


def reread(request: RestoreRequest, plan: Plan) -> list[tuple[Script, TextFile]]:
    """Return the scripts, each with its text, which is the one that was planned with.

    Raises:
        Refused: a file cannot be read any more, or has changed since.
    """
    found = []
    for script in request.scripts:
        file = read(request, script.file)
        planned = plan.scripts.get(script.file)
        if planned != file.sha256:
            raise Refused(
                f"script {script.file}",
                f"it has changed since the plan was made (SHA-256 {str(planned)[:12]}..., now "
                f"{file.sha256[:12]}...)",
                "Put the planned text back, or start another operation.",
            )
        found.append((script, file))
    return found


def check_script(file: TextFile) -> TextFile:
    """Return the script if it can be run; as `scripts.check`."""
    scripts.check(file)
    return file


def parse_roles(file: TextFile) -> Sequence[DatabaseRole]:
    """Return the roles that a YAML file declares under `roles`.

    Raises:
        Refused: it is no YAML (names the line), or a field is unknown, missing or malformed.
    """
    resource = f"role file {file.name}"
    try:
        content = yaml.safe_load(file.text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        problem = f"line {line}: {error.problem or 'not YAML'}"
        raise Refused(resource, problem, "Correct the file.") from None
    except yaml.YAMLError:
        raise Refused(resource, "it is not YAML", "Correct the file.") from None
    try:
        return _RoleFile.model_validate(content).roles
    except ValidationError as error:
        raise Refused(resource, one_line(error), "Correct the file.") from None
