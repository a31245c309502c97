"""A refresh from CI: started, watched to its end, and judged by its records.

    python -m deployments.restore refresh --set reader_count=2

Prefect's own watch ends with the flow run, and a flow run may be Crashed while its operation goes
on in another one: the operation's records have the last word.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from aurora_restore.cli.prefect_api import PrefectApi
from aurora_restore.cli.prefect_run import Run, start
from aurora_restore.errors import RestoreError

FLOW = "restore-aurora-cluster"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser("python -m deployments.restore", description=__doc__)
    parser.add_argument("deployment", help="of the flow restore-aurora-cluster, e.g. refresh")
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="overrides one field of the deployment's request; the value is YAML",
    )
    parser.add_argument("--dry-run", action="store_true", help="only look: change nothing")
    return parser.parse_args(arguments)


def parameters(given: dict[str, Any], overrides: Sequence[str], *, dry_run: bool) -> dict[str, Any]:
    """Return the parameters of the run: the deployment's, with fields of the request replaced.

    Raises:
        ValueError: an override is not FIELD=VALUE.
    """
    request = dict(given.get("request") or {})
    for each in overrides:
        field, sign, text = each.partition("=")
        if not sign or not field.strip():
            raise ValueError(f"{each!r}: not FIELD=VALUE")
        request[field.strip()] = yaml.safe_load(text)
    return given | {"request": request} | ({"dry_run": True} if dry_run else {})


def overrides_of(options: argparse.Namespace) -> list[str]:
    """Return those of the command line, and a line each of the variable SET (a form's field)."""
    return [*options.set, *filter(str.strip, os.environ.get("SET", "").splitlines())]


def is_done(run: Run, asked: dict[str, Any]) -> bool:
    """Whether the refresh has ended in success: its records say so, of a dry run its flow run."""
    if asked.get("dry_run"):
        return not run.failed
    operation = asked["request"].get("operation_id") or f"op-{run.flow_run_id}"
    command = [sys.executable, "-m", "aurora_restore", "status", operation, "--follow"]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    """Start it, wait for its end; return 0 if it ended in success, 1 otherwise."""
    options = parse(arguments)
    name = f"{FLOW}/{options.deployment}"
    try:
        api = PrefectApi()
        found = api.get(f"deployments/name/{name}")
        api.close()
        if found is None:
            sys.stderr.write(f"deployment {name}: there is none. Run `make deploy`.\n")
            return 1
        asked = parameters(found["parameters"], overrides_of(options), dry_run=options.dry_run)
        sys.stderr.write(f"{name} {json.dumps(asked)}\n")
        run = start(name, asked, watch=True)
    except (RestoreError, ValueError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0 if is_done(run, asked) else 1


if __name__ == "__main__":
    sys.exit(main())
