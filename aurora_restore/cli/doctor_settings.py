"""What `doctor` finds by comparing the settings of runs with those of this shell. Pure."""

from collections.abc import Iterator, Mapping

from aurora_restore.cli.doctor_prefect import Pool, Prefect
from aurora_restore.cli.job_template import environment_of
from aurora_restore.preflight.check import Check, failed, ok, unchecked
from aurora_restore.settings import given

NAME = "pool-settings"
_SOURCE_ROLE, _EXTERNAL_ID = "AURORA_RESTORE_SOURCE_ROLE_ARN", "AURORA_RESTORE_SOURCE_EXTERNAL_ID"


def checks(known: Prefect, environment: Mapping[str, str]) -> list[Check]:
    """Return whether the runs of each ECS pool have the settings of an environment.

    Names settings and never shows a value: the external id is one.
    """
    here = given(environment)
    pools = (pool for pool in known.pools if (pool.found or {}).get("type") == "ecs")
    return [check for pool in pools for check in _of_pool(pool, here)]


def _of_pool(pool: Pool, here: dict[str, str]) -> list[Check]:
    resource = f"work pool {pool.name}"
    there = given(environment_of((pool.found or {}).get("base_job_template") or {}))
    found = [failed(NAME, resource, *each) for each in _problems(there, here)]
    if aside := sorted(there.keys() - here.keys()):
        told = f"not set in this shell, so not compared: {', '.join(aside)}"
        found.append(unchecked(NAME, resource, told))
    return found or [ok(NAME, resource, "its runs have the settings of this shell")]


def _problems(there: dict[str, str], here: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(here.keys() - there.keys()):
        yield f"its runs lack {name}, which is set here", "Run `make pool` here, or unset it."
    for name in sorted(here.keys() & there.keys()):
        if here[name] != there[name]:
            told = f"its runs have another {name} than this shell"
            yield told, "Correct it here, or run `make pool` here."
    if _SOURCE_ROLE in there and _EXTERNAL_ID not in {**there, **here}:
        told = f"its runs have a source role and lack {_EXTERNAL_ID}"
        yield told, "Set it as the source account's stack has it, then run `make pool`."
