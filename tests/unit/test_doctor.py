"""What `doctor` makes of what there is in Prefect: each thing that is wrong, by its remedy."""

import json
from datetime import date
from typing import Any

import pytest
from examples import parameters
from test_pool import GOOD, TEXT

from aurora_restore.cli import doctor, doctor_settings
from aurora_restore.cli.doctor_aws import _role_of
from aurora_restore.cli.doctor_prefect import Pool, Prefect, checks
from deployments.pool import filled

TODAY = date(2026, 11, 26)
WATCHDOG, REFRESH = "watch-operations/watchdog", "restore-aurora-cluster/nightly"


def schedule(*, active: bool = True, **more: Any) -> dict[str, Any]:
    return {"id": "1", "slug": "s", "active": active, "schedule": more}


def known(**changes: Any) -> Prefect:
    """Prefect as it must be; `changes` are of the pool, or of a deployment by its last name."""
    pool = {
        "type": "ecs",
        "is_paused": False,
        "base_job_template": json.loads(json.dumps(filled(TEXT, GOOD))),
    }
    nightly = {
        "work_pool_name": "ecs",
        "paused": False,
        "enforce_parameter_schema": True,
        "parameters": {"request": parameters()},
        "schedules": [schedule(cron="30 1 * * *", timezone="UTC")],
    }
    watchdog = {
        "work_pool_name": "ecs",
        "paused": False,
        "schedules": [schedule(interval=300.0)],
    }
    return Prefect(
        "http://prefect/api",
        {
            REFRESH: nightly | changes.get("nightly", {}),
            WATCHDOG: watchdog | changes.get("watchdog", {}),
        },
        [
            Pool(
                "ecs",
                pool | changes.get("pool", {}),
                changes.get("workers", [{"status": "ONLINE"}]),
            )
        ],
    )


def wrong(of: Prefect) -> list[str]:
    return [
        f"{each.name}: {each.resource}: {each.problem}"
        for each in checks(of, TODAY)
        if each.status == "failed"
    ]


def test_all_is_there() -> None:
    """
    An ECS pool with a worker, a refresh and a watchdog with good schedules: nothing is wrong.
    """
    found = checks(known(), TODAY)

    assert {each.status for each in found} == {"ok"}
    assert {each.name for each in found} == {
        "prefect-api",
        "work-pool",
        "worker",
        "deployments",
        "schedules",
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"pool": {"type": "process"}},
            ["work-pool: work pool ecs: its type is process, not ecs"],
        ),
        (
            {"pool": {"is_paused": True}},
            ["work-pool: work pool ecs: it is paused, so no run starts"],
        ),
        ({"workers": []}, ["worker: work pool ecs: no worker of it is online"]),
        (
            {"workers": [{"status": "OFFLINE"}]},
            ["worker: work pool ecs: no worker of it is online"],
        ),
        (
            {"nightly": {"schedules": [schedule(cron="0 2 ? * FRI *", timezone="UTC")]}},
            [
                (
                    f"schedules: schedule s of {REFRESH}: cron '0 2 ? * FRI *': 6 fields, not 5 "
                    "(minute, hour, day, month, day of the week)"
                )
            ],
        ),
        (
            {"nightly": {"parameters": {"request": {}}}},
            [f"deployments: deployment {REFRESH}: its request is not valid: "],
        ),
        (
            {"nightly": {"enforce_parameter_schema": False}},
            [f"deployments: deployment {REFRESH}: it takes parameters that do not fit the form"],
        ),
        (
            {"nightly": {"paused": True, "work_pool_name": None}},
            [
                f"deployments: deployment {REFRESH}: it is paused",
                f"deployments: deployment {REFRESH}: it is in no work pool, so nobody runs it",
            ],
        ),
        (
            {"watchdog": {"schedules": [schedule(active=False, interval=300.0)]}},
            [
                (
                    f"deployments: deployment {WATCHDOG}: it has no active schedule: nobody is "
                    "told of a run that vanished"
                )
            ],
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], told: list[str]) -> None:
    """
    Each thing by itself, and nothing else with it.
    """
    found = wrong(known(**changes))

    assert len(found) == len(told)
    assert all(one.startswith(other) for one, other in zip(found, told, strict=True))


def test_open_pool_is_told_by_its_openings() -> None:
    """
    A variable for the image, as Prefect's own template has it, is named with its place.
    """
    of = known()
    assert of.pools[0].found is not None
    job = of.pools[0].found["base_job_template"]["job_configuration"]
    job["task_definition"]["containerDefinitions"][0]["image"] = "{{ image }}"

    assert wrong(of) == [
        (
            "work-pool: work pool ecs: task_definition.containerDefinitions.0.image: a run may "
            "change it by the variable 'image'"
        )
    ]


def test_nothing_deployed_is_told() -> None:
    """
    An empty server: no deployment of either flow, no pool of that name.
    """
    assert wrong(Prefect("http://prefect/api", {}, [Pool("ecs", None)])) == [
        "work-pool: work pool ecs: there is none of this name",
        "deployments: flow restore-aurora-cluster: it has no deployment: nothing can be refreshed",
        "deployments: flow watch-operations: it has no deployment: vanished runs stay so",
    ]


def test_every_finding_has_a_remedy() -> None:
    """
    Whatever is wrong, the line ends with what to do.
    """
    of = Prefect("http://prefect/api", {}, [Pool("a", None), Pool("b", {"type": "process"})])

    assert all(each.remedy.endswith(".") for each in checks(of, TODAY) if each.status == "failed")


ROLE, WORD = "AURORA_RESTORE_SOURCE_ROLE_ARN", "AURORA_RESTORE_SOURCE_EXTERNAL_ID"
LEASE = "AURORA_RESTORE_LEASE_SECONDS"
ALIKE = ("ok", "its runs have the settings of this shell")


def compared(there: dict[str, str], here: dict[str, str]) -> list[tuple[str, str]]:
    """Return status and problem of each finding; both sides have what is always needed."""
    template = json.loads(json.dumps(filled(TEXT, GOOD | there)))
    environment = {"PATH": "/bin", "AURORA_RESTORE_CODE": "/app"} | GOOD | here
    found = doctor_settings.checks(known(pool={"base_job_template": template}), environment)
    assert "hidden" not in " ".join(f"{each.problem} {each.remedy}" for each in found)
    return [(each.status, each.problem) for each in found]


@pytest.mark.parametrize(
    ("there", "here", "found"),
    [
        ({}, {}, [ALIKE]),
        ({ROLE: "r", WORD: "hidden"}, {ROLE: "r", WORD: "hidden"}, [ALIKE]),
        (
            {ROLE: "r"},
            {ROLE: "r", WORD: "hidden"},
            [("failed", f"its runs lack {WORD}, which is set here")],
        ),
        (
            {ROLE: "r", WORD: "hidden"},
            {ROLE: "r", WORD: "hidden too"},
            [("failed", f"its runs have another {WORD} than this shell")],
        ),
        (
            {ROLE: "r"},
            {ROLE: "r"},
            [("failed", f"its runs have a source role and lack {WORD}")],
        ),
        (
            {ROLE: "r", WORD: "hidden"},
            {ROLE: "r"},
            [("unchecked", f"not set in this shell, so not compared: {WORD}")],
        ),
        (
            {LEASE: "60"},
            {LEASE: "90", "AURORA_RESTORE_TOPIC_ARN": ""},
            [
                ("failed", f"its runs have another {LEASE} than this shell"),
                ("unchecked", "not set in this shell, so not compared: AURORA_RESTORE_TOPIC_ARN"),
            ],
        ),
    ],
)
def test_settings_of_runs_are_compared(
    there: dict[str, str], here: dict[str, str], found: list[tuple[str, str]]
) -> None:
    """
    What runs lack or have otherwise is named, without a value; what is not set here is not judged.
    """
    assert compared(there, here) == found


def test_settings_of_other_pools_are_not_compared() -> None:
    """
    A pool that is missing, or no ECS pool, is told of by its own check.
    """
    pools = [Pool("a", None), Pool("b", {"type": "process"})]

    assert doctor_settings.checks(Prefect("http://prefect/api", {}, pools), GOOD) == []


def test_first_look_is_a_dry_run() -> None:
    """
    Of the deployment that is started by hand; without one, of the first there is.
    """
    by_hand = known()
    by_hand.deployments["restore-aurora-cluster/refresh"] = {}

    assert doctor._first(known()) == REFRESH
    assert doctor._first(by_hand) == doctor._first(None) == "restore-aurora-cluster/refresh"
    said = doctor.answer([], "again", "restore-aurora-cluster/x y").result
    command = "prefect deployment run 'restore-aurora-cluster/x y' --watch --param dry_run=true"
    assert said.model_dump()["next"] == command


def test_task_role_is_the_pools() -> None:
    """
    By the pool's template doctor knows whether it runs as a run would.
    """
    assert doctor.task_role(known()) == GOOD["ECS_TASK_ROLE_ARN"]
    assert doctor.task_role(Prefect("http://prefect/api", {}, [Pool("ecs", None)])) is None


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:iam::987654321098:role/task", "987654321098/task"),
        ("arn:aws:iam::987654321098:role/path/to/task", "987654321098/task"),
        ("arn:aws:sts::987654321098:assumed-role/task/session", "987654321098/task"),
        ("arn:aws:iam::987654321098:user/admin", "arn:aws:iam::987654321098:user/admin"),
        ("", "nobody"),
    ],
)
def test_role_of_an_arn(arn: str, role: str) -> None:
    """
    A session's ARN and its role's name the same role; a user is none.
    """
    assert _role_of(arn) == role
