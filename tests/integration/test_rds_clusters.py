"""Clusters and their network, as the steps see them."""

from typing import Any

import pytest
from cluster_steps import found, rename

from aurora_restore.errors import NotFound
from aurora_restore.rds import clusters, tags
from sandbox import Sandbox


def test_cluster_is_shown_as_aws_has_it(account: Sandbox, rds: Any) -> None:
    """
    What the steps decide by is read from AWS: members, endpoint, network, windows, tags.
    """
    staging = clusters.get_cluster(rds, "staging")

    assert (staging.writer, staging.readers) == ("staging-1", ["staging-2"])
    assert (staging.port, staging.protected) == (account.facts["postgres_port"], False)
    assert staging.endpoint.startswith("staging.cluster-")
    assert staging.subnet_group == "aurora-restore"
    assert staging.security_group_ids == account.facts["security_group_ids"]
    assert staging.maintenance_window == "sun:05:00-sun:05:30"
    assert staging.tags == {tags.MANAGED: "true", "team": "payments"}


def test_missing_cluster_is_told(rds: Any) -> None:
    """
    A cluster that does not exist is None to who looks for it and an error to who needs it.
    """
    assert clusters.find_cluster(rds, "none") is None
    with pytest.raises(NotFound, match=r"^cluster none: it does not exist\."):
        clusters.get_cluster(rds, "none")


def test_cluster_is_found_by_its_resource_id_whatever_it_is_called(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    A rename leaves the resource id as it is; a cluster that is gone is left out.
    """
    resource_id = found(rds, "staging").resource_id
    rename(account, admin, "staging", "away")

    by_id = clusters.find_by_resource_id(rds, resource_id, "cluster-GONE")

    assert {key: each.id for key, each in by_id.items()} == {resource_id: "away"}


def test_network_is_that_of_the_subnet_group(account: Sandbox, rds: Any) -> None:
    """
    VPC and subnets come from the subnet group; a missing group is told with its field.
    """
    network = clusters.get_network(rds, "aurora-restore")

    assert network.vpc_id == account.facts["vpc_id"]
    assert network.subnet_ids == sorted(account.facts["subnet_ids"])
    with pytest.raises(NotFound, match=r"^db_subnet_group_name none: no such DB subnet group"):
        clusters.get_network(rds, "none")
