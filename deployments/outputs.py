"""A stack's outputs as lines for the shell: `export REFRESH_KMS_KEY_ID=...`."""

import json
import re
import shlex
import sys

_WORD = re.compile(r"[A-Z][a-z]*")


def variable(output: str) -> str:
    """Return the variable's name for an output's: RefreshKmsKeyId -> REFRESH_KMS_KEY_ID."""
    return "_".join(_WORD.findall(output)).upper()


def exports(outputs: list[dict[str, str]]) -> list[str]:
    """Return a line for each output, as `aws cloudformation describe-stacks` gives them."""
    return [
        f"export {variable(each['OutputKey'])}={shlex.quote(each['OutputValue'])}"
        for each in sorted(outputs, key=lambda each: each["OutputKey"])
    ]


def main() -> int:
    """Read the outputs as JSON from standard input, print the lines."""
    try:
        outputs = json.load(sys.stdin)
        lines = exports(outputs)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        sys.stderr.write(
            "standard input: not a list of outputs. Use: aws cloudformation describe-stacks "
            "--stack-name NAME --query 'Stacks[0].Outputs' --output json\n"
        )
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
