"""`python -m aurora_restore`: the same as the command `aurora-restore`."""

import sys

from aurora_restore.cli import main

if __name__ == "__main__":
    sys.exit(main())
