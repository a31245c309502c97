"""`aurora-restore`: the command line, for people and for machines (`--json`).

`exits` has the exit codes, `answers` what a command gives back and the JSON envelope, `screen` the
output for people. A command is a function in `commands` that returns an `Answer` or raises; it
imports what it needs when it runs, since boto3 takes longer to load than the help to read.
"""

from aurora_restore.cli.app import main

__all__ = ["main"]
