"""The commands: what each takes, and its help. Each imports its work when it is called."""

from typing import Annotated

from cyclopts import Parameter

from aurora_restore.cli.answers import Answer

AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


def plan(
    request: str,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    operation_id: str | None = None,
    as_json: AsJson = False,
) -> Answer:
    """Show what a refresh would do, and what stands in its way. It changes nothing.

    Checks everything that can be checked beforehand in both accounts, then lists what would be
    made, changed and deleted, what differs from the cluster of now, and how long it takes.

    Example: aurora-restore plan request.yaml --set replace=swap

    Parameters
    ----------
    request
        JSON or YAML file with the fields of a request, or a deployment's parameters; - for standard
        input.
    set_
        field=value: overrides one field; the value is YAML. May be given several times.
    operation_id
        Name of the operation, to see the names it would give or to look at one to be resumed.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import planning  # noqa: PLC0415 - boto3 takes a second to load

    return planning.plan(request, set_ or [], operation_id, quiet=as_json)
