"""`make plan`: what a refresh would do, and what stands in its way, on the sandbox."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.facts import request, safe_data, settings
from demo.stack import REPOSITORY
from sandbox import Sandbox
from sandbox.control import describe_failures


def main() -> int:
    """Start a sandbox, plant what is asked for, run `aurora-restore plan`; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.plan", description=__doc__)
    parser.add_argument("--mode", choices=("delete-first", "swap"), default="delete-first")
    parser.add_argument("--fail", nargs="*", default=[], metavar="NAME", help="failures to plant")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    if unknown := [name for name in options.fail if name not in describe_failures()]:
        print(f"FAIL={' '.join(unknown)}: no such failure; `make failures` lists them.")
        return 2
    with Sandbox() as aws, tempfile.TemporaryDirectory() as folder:
        for name in options.fail:
            aws.plant(name)
        wish = Path(folder) / "request.json"
        wish.write_text(json.dumps(request(aws, replace=options.mode, **safe_data())))
        command = [sys.executable, "-m", "aurora_restore", "plan", str(wish)]
        return subprocess.run(  # noqa: S603
            [*command, "--json"] if options.json else command,
            env=os.environ | settings(aws),
            cwd=REPOSITORY,
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
