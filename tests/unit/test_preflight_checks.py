"""Checks of what the sandbox cannot show: they judge facts, however these were read."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from examples import plan

from aurora_restore.preflight import checks_cluster, checks_snapshot
from aurora_restore.preflight.draft import Draft
from aurora_restore.preflight.reading import Answer
from aurora_restore.preflight.reads_region import Version
from aurora_restore.rds.blueprint import Serverless

VERSIONS = {
    "16.1": Version(
        "16.1", "aurora-postgresql16", frozenset({"16.2", "17.1"}), frozenset({"postgresql"}), None
    ),
    "16.2": Version("16.2", "aurora-postgresql16", frozenset(), frozenset(), (0.5, 128.0)),
    "17.1": Version("17.1", "aurora-postgresql17", frozenset(), frozenset(), None),
}


def known(value: Any) -> Answer[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return Answer(future)


def facts(snapshot_version: str = "16.1", **changes: Any) -> Any:
    """Return what is known of a new cluster with these changes."""
    new = plan().new.model_copy(update={"engine_version": "16.1"} | changes)
    return SimpleNamespace(
        draft=Draft(new=new, cluster=None, old=None, snapshot=None, gaps={}),
        versions=known(VERSIONS),
        snapshot=known(SimpleNamespace(engine_version=snapshot_version)),
        request=SimpleNamespace(target_region="us-west-2"),
    )


@pytest.mark.parametrize(
    ("low", "high", "version", "status"),
    [
        (0.5, 8.0, "16.2", "ok"),
        (0.5, 128.0, "16.2", "ok"),
        (0.0, 8.0, "16.2", "failed"),
        (0.5, 129.0, "16.2", "failed"),
        (0.0, 256.0, "16.1", "ok"),
        (0.3, 8.0, "16.1", "failed"),
        (8.0, 4.0, "16.1", "failed"),
        (0.0, 0.5, "16.1", "failed"),
    ],
)
def test_serverless_range_is_one_that_the_version_takes(
    low: float, high: float, version: str, status: str
) -> None:
    """
    Half steps within what AWS tells of the version, and otherwise from 0 to 256.
    """
    range_ = Serverless(min_acu=low, max_acu=high)

    [check] = checks_cluster.serverless_range(facts(serverless=range_, engine_version=version))

    assert check.status == status


def test_log_that_the_version_lacks_is_told() -> None:
    """
    Each log must be one that the version exports.
    """
    [good] = checks_cluster.log_exports(facts(log_exports=["postgresql"]))
    [bad] = checks_cluster.log_exports(facts(log_exports=["audit", "postgresql"]))

    assert (good.status, bad.status) == ("ok", "failed")
    assert bad.problem == "version 16.1 has no log audit"
    assert bad.remedy == "Choose among postgresql."


@pytest.mark.parametrize(
    ("was", "version", "status"),
    [
        ("16.1", "16.1", "ok"),
        ("16.1", "16.2", "ok"),
        ("16.1", "17.1", "unchecked"),
        ("16.0", "16.2", "unchecked"),
        ("15.9", "17.1", "failed"),
        ("16.2", "17.1", "failed"),
        ("16.2", "16.1", "failed"),
        ("16.1", "16.9", "failed"),
    ],
)
def test_version_is_one_that_the_snapshot_can_become(was: str, version: str, status: str) -> None:
    """
    The snapshot's own or what AWS upgrades that to; of what AWS does not say, that is told.
    """
    [check] = checks_snapshot.engine_version(facts(was, engine_version=version))

    assert check.status == status
    assert check.remedy or status == "ok"
