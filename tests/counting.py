"""Marks and counts the cases of each proof, wherever it is; tests/conftest.py takes it in."""

from collections import Counter, defaultdict
from typing import Any

import pytest

PROOFS = {
    "test_fault_stops_a_run_before_its_first_change": (
        "preflight: {all} faults, {passed} stopped before a change"
    ),
    "test_target_serves_after_every_ending": "wayback: {all} endings, {passed} serving",
    "test_run_that_dies": "crash: {all} points, {passed} recovered",
    "test_fault_does_what_the_table_says": "faults: {all} pairs, {passed} right",
    "test_one_of_two_rivals_proceeds": "rivals: {all} rounds, {passed} single winners",
    "test_sleeper": "frozen: {all} sleepers, {passed} harmless once woken",
    "test_ecs_worker.py::test_ending": "worker: {all} endings, {passed} right",
    "test_fits_the_smallest_task": (
        "size: 0.25 vCPU and 512 MiB, peak {peak} MiB, first step after {first} s"
    ),
    "test_image_runs_locked_down": "image: {size} MiB, {ours} of them beside its base",
    "test_fleet.py::test_fleet": "fleet: {all} operations, {passed} right",
    "proof/test_hostile_names.py::": "roles: {all} hostile names, {passed} right",
    "integration/test_access_roles.py::": (
        "versions: {on_14} checks of roles on PostgreSQL 14, {on_15} on 15, {on_16} on 16, "
        "{on_17} on 17, {on_18} on 18, {passed} of {all} right"
    ),
    "proof/test_logins.py::": (
        "logins: {allowed} allowed and {forbidden} forbidden actions, {verdict}"
    ),
    "proof/test_secret_sinks.py::": "secrets: {all} sinks, {found} found",
    "proof/test_told_endings.py::": "outages: {all} endings, {passed} announced once",
    "test_policies_allow_what_was_recorded": (
        "iam, kept list: {calls} calls allowed, {statements} statements, {needed} needed, "
        "{entries} entries of lists, {denied} of {must_deny} must-deny denied"
    ),
    "test_policies_allow_what_runs_ask": (
        "iam: {calls} calls allowed, {statements} statements, {needed} needed, "
        "{entries} entries of lists, {denied} of {must_deny} must-deny denied"
    ),
}


class Count:
    """Counts the cases of each proof, and those that passed.

    A test is one case, or as many as it has recorded as its property `cases`; of those that failed
    it has recorded `wrong`. Whatever else it has recorded is counted under its name, but for its
    `table`, which is shown.
    """

    def __init__(self) -> None:
        self.cases, self.passed = Counter[str](), Counter[str]()
        self.more: dict[str, Counter[str]] = defaultdict(Counter)
        self.tables: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or report.skipped:
            return
        recorded = {str(name): str(value) for name, value in report.user_properties}
        table = recorded.pop("table", "")
        told = {name: int(value) for name, value in recorded.items()}
        cases = told.get("cases", 1)
        for test in PROOFS:
            if test in report.nodeid:
                self.cases[test] += cases
                self.passed[test] += cases - told.get("wrong", 0 if report.passed else cases)
                self.more[test].update(told)
                self.tables[test] = table

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for test, line in PROOFS.items():
            if self.cases[test]:
                count, right = self.cases[test], self.passed[test]
                verdict = "all as declared" if right == count else f"{count - right} NOT so"
                told: dict[str, Any] = defaultdict(int, self.more[test])
                told |= {"all": count, "passed": right, "verdict": verdict}
                terminalreporter.write(self.tables[test])
                terminalreporter.write_line(line.format_map(told))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is counted, before the marks are looked at."""
    for item in items:
        if any(test in item.nodeid for test in PROOFS):
            item.add_marker(pytest.mark.proof)


def pytest_configure(config: pytest.Config) -> None:
    """Count where the report is made: in the process that starts the workers, if there are any."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Count(), "proof-count")
