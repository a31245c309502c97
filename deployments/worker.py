"""Prefect's own stack for a worker, with what it needs here and lacks.

python -m deployments.worker > worker.json
"""

import json
import sys
from importlib.metadata import version
from importlib.resources import files
from typing import Any

# prefect-aws 0.7.12 gives a worker the auth string under a name that Prefect does not read.
RENAMED = {"PREFECT_AUTH_STRING": "PREFECT_API_AUTH_STRING"}
BOUNDARY = "TaskRoleBoundaryArn"
SECRET = "AuroraRestoreHasSecret"  # noqa: S105 - a condition's name


def upstream() -> dict[str, Any]:
    """Return the template as the package prefect-aws has it."""
    text = files("prefect_aws").joinpath("templates/ecs/service.json").read_text()
    template: dict[str, Any] = json.loads(text)
    return template


def mended(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template whose worker logs in, if it has to, and is within the boundary.

    The image is that of the package's version, not the newest of the day. The role of the worker
    has the boundary from the beginning: by itself it may pass any role of the account to a task.
    """
    changed: dict[str, Any] = json.loads(json.dumps(template), object_hook=_renamed)
    image = changed["Parameters"]["DockerImage"]
    image["Default"] = f"prefecthq/prefect-aws:{version('prefect-aws')}-python3.12"
    changed["Parameters"][BOUNDARY] = {
        "Type": "String",
        "AllowedPattern": "arn:aws[a-z-]*:iam::[0-9]{12}:policy/.+",
        "Description": "Permissions boundary of the worker's role",
    }
    for name in _task_roles(changed["Resources"]):
        changed["Resources"][name]["Properties"]["PermissionsBoundary"] = {"Ref": BOUNDARY}
    # Otherwise it lets the worker read the secret "", which IAM refuses.
    changed["Conditions"][SECRET] = {
        "Fn::Or": [{"Condition": "UseApiKey"}, {"Condition": "UseAuthString"}]
    }
    for each in changed["Resources"].values():
        if reads_secret_alone(each):
            each["Condition"] = SECRET
    return changed


def reads_secret_alone(resource: dict[str, Any]) -> bool:
    """Whether it is a policy that is about the secret and nothing else."""
    if resource["Type"] != "AWS::IAM::Policy":
        return False
    statements = resource["Properties"]["PolicyDocument"]["Statement"]
    return all(each["Action"] == "secretsmanager:GetSecretValue" for each in statements)


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    name = document.get("Name")
    return (
        document | {"Name": RENAMED[name]}
        if isinstance(name, str) and name in RENAMED
        else document
    )


def _task_roles(resources: dict[str, Any]) -> list[str]:
    """Return the logical names of the roles that containers have."""
    return [
        each["Properties"]["TaskRoleArn"]["Fn::GetAtt"][0]
        for each in resources.values()
        if each["Type"] == "AWS::ECS::TaskDefinition"
    ]


def main() -> int:
    """Print the template."""
    sys.stdout.write(json.dumps(mended(upstream()), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
