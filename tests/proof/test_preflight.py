"""Every planted fault is found before anything is changed, and its remedy is the cure."""

from itertools import combinations

import pytest
from catalogue import FAULTS, Fault
from stage import Stage, is_change

from aurora_restore.preflight import Examination

BY_NAME = {fault.name: fault for fault in FAULTS}
PAIRED = (
    "no such snapshot",
    "target key disabled",
    "no such subnet group",
    "no consent",
)
TOGETHER = (
    "cluster not allowed",
    "no such topic",
    "secret in another form",
    "source key disabled",
    "target key disabled",
    "no room for snapshots",
    "no such security group",
    "cluster parameter group of another version",
    "no such parameter group",
    "class not offered any more",
    "final snapshot's name taken",
    "no consent",
    "deletion protection",
)


def lines(examined: Examination, check: str) -> list[str]:
    """Return what a check has found."""
    return [
        f"{each.resource}: {each.problem}. {each.remedy}"
        for each in examined.checks
        if each.name == check and each.status == "failed"
    ]


def assert_found(examined: Examination, fault: Fault) -> None:
    found = lines(examined, fault.check)
    assert any(fault.says in line for line in found), (fault.name, found, examined.findings)


def changes(stage: Stage) -> list[str]:
    """Return what the product has changed since the beginning."""
    return [
        event["operation"]
        for event in stage.aws.events(kind="call")
        if "user/admin" not in event["caller"] and is_change(event)
    ]


def test_names_are_told_apart() -> None:
    """
    No two faults have the same name, and there are enough of them to mean something.
    """
    assert len(BY_NAME) == len(FAULTS) >= 40


SOME = 4  # every fourth fault is enough for the ordinary tests


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=() if number % SOME == 0 else pytest.mark.long, id=fault.name)
        for number, fault in enumerate(FAULTS)
    ],
)
def test_fault_is_found_and_cured(stage: Stage, fault: Fault) -> None:
    """
    The fault is told by its check, nothing is changed, and what its remedy says mends it.
    """
    fault.plant(stage)

    examined = stage.examine()

    assert_found(examined, fault)
    assert all("\n" not in str(each) for each in examined.findings)
    fault.cure(stage)
    cured = stage.examine()
    assert cured.findings == []
    assert cured.plan is not None
    assert changes(stage) == []


@pytest.mark.parametrize("names", combinations(PAIRED, 2), ids=" and ".join)
def test_one_fault_does_not_hide_another(stage: Stage, names: tuple[str, str]) -> None:
    """
    Of two faults both are told.
    """
    faults = [BY_NAME[name] for name in names]
    for fault in faults:
        fault.plant(stage)

    examined = stage.examine()

    for fault in faults:
        assert_found(examined, fault)


def test_many_faults_are_told_at_once(stage: Stage) -> None:
    """
    Of thirteen faults all are told by one examination, and after all their cures there is none.
    """
    faults = [BY_NAME[name] for name in TOGETHER]
    for fault in faults:
        fault.plant(stage)

    examined = stage.examine()

    for fault in faults:
        assert_found(examined, fault)
    for fault in faults:
        fault.cure(stage)
    assert stage.examine().findings == []
