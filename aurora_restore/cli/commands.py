"""The commands: what each takes, and its help. Each imports its work when it is called."""

from typing import Annotated

from cyclopts import Parameter

from aurora_restore.cli.answers import Answer

AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


def doctor(*, pool: str | None = None, as_json: AsJson = False) -> Answer:
    """Name what is missing or wrong before the first run. It changes nothing.

    Looks at the settings, the account, the table of the records, the topic, the source role,
    Prefect's API, its work pool and worker, the deployments and their schedules.

    Example: aurora-restore doctor

    Parameters
    ----------
    pool
        Work pool that is to run the refreshes. Otherwise AURORA_RESTORE_WORK_POOL, and those that
        the deployments are in.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import doctor as work  # noqa: PLC0415 - boto3 takes a second to load

    return work.doctor(pool, quiet=as_json)


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


def status(
    operation: str,
    /,
    *,
    follow: Annotated[bool, Parameter(negative="")] = False,
    every: float = 5.0,
    as_json: AsJson = False,
) -> Answer:
    """Show how an operation is: its steps, what failed, what to do next. It changes nothing.

    By one query of the records.

    With --follow it looks again until the operation has ended: exit code 0 for SUCCESS, 1 for
    any other ending.

    Example: aurora-restore status op-20261124 --follow

    Parameters
    ----------
    operation
        Name of the operation; `aurora-restore history` lists them.
    follow
        Show each change until the operation has ended; with --json print its end only.
    every
        Seconds between two looks, with --follow.
    as_json
        Print one JSON document instead of text.
    """
    if follow:
        from aurora_restore.cli import following  # noqa: PLC0415

        return following.follow(operation, every, quiet=as_json)
    from aurora_restore.cli import status as work  # noqa: PLC0415

    return work.status(operation, quiet=as_json)


def history(
    *,
    target: str | None = None,
    failed: Annotated[bool, Parameter(negative="")] = False,
    since: str | None = None,
    limit: int = 20,
    as_json: AsJson = False,
) -> Answer:
    """List the operations that changed last, newest first. It changes nothing.

    By one query of an index, whose cost does not grow with the table.

    Example: aurora-restore history --target 987654321098/us-west-2/staging --since 7d --failed

    Parameters
    ----------
    target
        Only operations of this cluster: account/Region/cluster, or the cluster alone where only
        one account may be restored into.
    failed
        Only those that failed, crashed or were cancelled, among the newest 100.
    since
        Only those that changed since: 90m, 12h, 7d, 2w ago, or a date such as 2026-11-01.
    limit
        How many to list, 1 to 100.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import history as work  # noqa: PLC0415

    return work.history(target, since, limit, failed=failed, quiet=as_json)


def resume(
    operation: str,
    /,
    *,
    deployment: str | None = None,
    watch: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> Answer:
    """Start an unfinished operation again, with the request it was begun with.

    Starts a flow run of its deployment, as `prefect deployment run` does; finished steps are not
    done again. Refuses if the operation has succeeded or brought the old cluster back, or if a run
    is at work on its target.

    Example: aurora-restore resume op-20261124 --watch

    Parameters
    ----------
    operation
        Name of the operation; `aurora-restore history` lists them.
    deployment
        FLOW/DEPLOYMENT to start instead of the one on record.
    watch
        Wait until the flow run has ended: exit code 0 if it succeeded, else 1.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import resuming  # noqa: PLC0415

    return resuming.resume(operation, deployment, watch=watch, quiet=as_json)


def announce(operation: str | None = None, /, *, as_json: AsJson = False) -> Answer:
    """Send the announcements that are noted and were not sent.

    Of one operation, or of all that wait. Without a name it looks for operations whose run has
    vanished as well, and tells that.

    Example: aurora-restore announce op-20261124

    Parameters
    ----------
    operation
        Name of the operation; none: all.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import announcing  # noqa: PLC0415

    return announcing.announce(operation, quiet=as_json)


def cleanup(
    *,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    target: str | None = None,
    older_than: str = "24h",
    region: str | None = None,
    as_json: AsJson = False,
) -> Answer:
    """Remove what refreshes have left behind. DELETES snapshots and clusters unless --dry-run.

    Lists everything in this shell's account that carries this program's tags, with its age and
    size, and why it is a leftover or kept. Never touched: a target, an old cluster or one that was
    brought back, final snapshots, archived copies, what a run works on, what is not on record.

    Example: aurora-restore cleanup --dry-run, which changes nothing

    Parameters
    ----------
    dry_run
        Only list: nothing is changed.
    target
        account/Region/cluster: only what refreshes of this target have left. Otherwise every one's.
    older_than
        For how long a refresh that could be resumed must have been left alone: minutes, hours or
        days, e.g. 90m, 24h, 7d.
    region
        Region of the targets. Otherwise the shell's own.
    as_json
        Print one JSON document instead of text.
    """
    from aurora_restore.cli import cleaning  # noqa: PLC0415 - boto3 takes a second to load

    return cleaning.clean(target, older_than, region, dry_run=dry_run, quiet=as_json)
