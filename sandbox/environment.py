"""The environment of a program that is to run in the sandbox."""

import os
from collections.abc import Mapping
from typing import Any


def environment(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables: the endpoint, the task role's credentials as on ECS, PostgreSQL.

    Nothing in it is the sandbox's own invention: botocore and libpq read these by themselves.
    """
    region = str(facts["target_region"])
    return {
        "AWS_ENDPOINT_URL": str(facts["url"]),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{facts['url']}/sandbox/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": str(facts["container_token"]),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _without_proxy(),
        "PGHOSTADDR": "127.0.0.1",
        "PGSSLROOTCERT": str(facts["ca_file"]),
    }


def _without_proxy() -> str:
    """Return NO_PROXY with this machine added."""
    present = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join([*filter(None, present.split(",")), "127.0.0.1"])
