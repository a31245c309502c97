"""What `doctor` looks at in Prefect: the API, work pools, deployments, schedules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import ValidationError

from aurora_restore.cli.job_template import template_problems
from aurora_restore.cli.prefect_api import PrefectApi
from aurora_restore.cli.schedules import schedule_problems
from aurora_restore.preflight.check import Check, failed, ok
from aurora_restore.request import RestoreRequest, one_line

REFRESH, WATCHDOG = "restore-aurora-cluster", "watch-operations"
_DEPLOY = "Run `make deploy`."
_POOL = "Run `make pool`."
_LIMIT = 200  # what Prefect's API gives at a time


@dataclass(frozen=True)
class Pool:
    """A work pool: as Prefect's API has it, None if it does not; the workers it has heard of."""

    name: str
    found: dict[str, Any] | None
    workers: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Prefect:
    """What there is in Prefect. `deployments` by full name (FLOW/DEPLOYMENT)."""

    url: str
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: Sequence[Pool] = ()

    def requests(self) -> dict[str, RestoreRequest]:
        """Return the requests of the refreshes that are valid, by the deployment's full name."""
        found = {}
        for name, each in self.refreshes().items():
            try:
                found[name] = RestoreRequest.model_validate(_request(each))
            except ValidationError:
                continue  # told by the check of that deployment
        return found

    def refreshes(self) -> dict[str, dict[str, Any]]:
        """Return the deployments of the refresh."""
        return _of_flow(self.deployments, REFRESH)


def look(api: PrefectApi, pool: str | None) -> Prefect:
    """Return what there is; `pool` is looked at too if no deployment is in it.

    Raises:
        PrefectUnreachable: it cannot be asked.

    Source: Prefect's REST API (deployments/filter, flows/filter, work_pools).
    """
    flows = api.find("flows/filter", {"flows": {"name": {"any_": [REFRESH, WATCHDOG]}}})
    names = {each["id"]: each["name"] for each in flows}
    wanted = {"flows": {"id": {"any_": list(names)}}, "limit": _LIMIT}
    found = api.find("deployments/filter", wanted) if names else []
    deployments = {f"{names[each['flow_id']]}/{each['name']}": each for each in found}
    pools = {each.get("work_pool_name") for each in found} | {pool}
    return Prefect(
        api.url,
        dict(sorted(deployments.items())),
        [_pool(api, name) for name in sorted(filter(None, pools))],
    )


def _pool(api: PrefectApi, name: str) -> Pool:
    found = api.get(f"work_pools/{name}")
    workers = api.find(f"work_pools/{name}/workers/filter", {}) if found is not None else []
    return Pool(name, found, workers)


def checks(known: Prefect, today: date) -> list[Check]:
    """Return what is in order in Prefect and what is not. Pure."""
    found = [ok("prefect-api", f"Prefect's API {known.url}", "it answers")]
    for pool in known.pools:
        found += _of_pool(pool)
    found += _of_deployments(known, today)
    return found


def _of_pool(pool: Pool) -> list[Check]:
    name, resource = "work-pool", f"work pool {pool.name}"
    if pool.found is None:
        return [failed(name, resource, "there is none of this name", _POOL)]
    if pool.found["type"] != "ecs":
        problem = f"its type is {pool.found['type']}, not ecs"
        return [failed(name, resource, problem, f"Name another in the settings. {_POOL}")]
    opened = template_problems(pool.found.get("base_job_template") or {})
    found = [failed(name, resource, each, f"{_POOL} It fixes all but the size.") for each in opened]
    if pool.found.get("is_paused"):
        problem = "it is paused, so no run starts"
        found.append(failed(name, resource, problem, "Resume it: `prefect work-pool resume`."))
    if not any(each.get("status") == "ONLINE" for each in pool.workers):
        problem = "no worker of it is online"
        remedy = "Start one, or look at its service's log: deployments/README.md."
        found.append(failed("worker", resource, problem, remedy))
    else:
        found.append(ok("worker", resource, "a worker is online"))
    return found if any(each.name == name for each in found) else [ok(name, resource), *found]


def _of_deployments(known: Prefect, today: date) -> Iterator[Check]:
    for flow, what in ((REFRESH, "nothing can be refreshed"), (WATCHDOG, "vanished runs stay so")):
        mine = _of_flow(known.deployments, flow)
        if not mine:
            yield failed("deployments", f"flow {flow}", f"it has no deployment: {what}", _DEPLOY)
        for full, deployment in mine.items():
            yield from _of_deployment(full, deployment, watchdog=flow == WATCHDOG)
            yield from _of_schedules(full, deployment, today)


def _of_deployment(full: str, deployment: dict[str, Any], *, watchdog: bool) -> list[Check]:
    name, resource = "deployments", f"deployment {full}"
    problems = []
    if deployment.get("paused"):
        problems.append(("it is paused", "Resume it in the UI."))
    if deployment.get("work_pool_name") is None:
        problems.append(("it is in no work pool, so nobody runs it", _DEPLOY))
    if watchdog:
        if not any(each.get("active") for each in deployment.get("schedules") or []):
            problem = "it has no active schedule: nobody is told of a run that vanished"
            problems.append((problem, "Resume its schedule: `prefect deployment schedule resume`."))
    else:
        try:
            RestoreRequest.model_validate(_request(deployment))
        except ValidationError as error:
            remedy = f"Correct prefect.yaml or its variables. {_DEPLOY}"
            problems.append((f"its request is not valid: {one_line(error)}", remedy))
        if not deployment.get("enforce_parameter_schema"):
            problem = "it takes parameters that do not fit the form"
            problems.append((problem, f"Set enforce_parameter_schema: true. {_DEPLOY}"))
    return [failed(name, resource, *each) for each in problems] or [ok(name, resource)]


def _of_schedules(full: str, deployment: dict[str, Any], today: date) -> Iterator[Check]:
    for each in deployment.get("schedules") or []:
        schedule = each.get("schedule") or {}
        resource = f"schedule {each.get('slug') or each.get('id')} of {full}"
        problems = schedule_problems(schedule, today)
        for problem in problems:
            yield failed("schedules", resource, problem, f"Correct prefect.yaml. {_DEPLOY}")
        if not problems:
            yield ok("schedules", resource, _told(each, schedule))


def _told(each: dict[str, Any], schedule: dict[str, Any]) -> str:
    when = f"every {float(schedule.get('interval', 0)):g} s"
    if "cron" in schedule:
        when = f"{schedule['cron']} {schedule['timezone']}"
    return when if each.get("active") else f"{when}, paused"


def _of_flow(deployments: dict[str, dict[str, Any]], flow: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in deployments.items() if name.startswith(f"{flow}/")}


def _request(deployment: dict[str, Any]) -> Any:
    return (deployment.get("parameters") or {}).get("request")
