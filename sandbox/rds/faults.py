"""The errors RDS answers with, by the code that goes over the wire.

Source: RDS API, the errors of each operation; codes that no operation lists
(InvalidParameterValue, InvalidParameterCombination) are RDS's common errors.
"""

from moto.rds.exceptions import RDSClientError


def fault(code: str, message: str) -> RDSClientError:
    """Return the error with this code; the serializer finds its HTTP status in the API model."""
    return RDSClientError(code, message)


def bad_value(message: str) -> RDSClientError:
    """Return InvalidParameterValue."""
    return fault("InvalidParameterValue", message)


def bad_combination(message: str) -> RDSClientError:
    """Return InvalidParameterCombination."""
    return fault("InvalidParameterCombination", message)


def cluster_not_found(identifier: str) -> RDSClientError:
    """Return DBClusterNotFoundFault."""
    return fault("DBClusterNotFoundFault", f"DBCluster {identifier} not found.")


def cluster_exists() -> RDSClientError:
    """Return DBClusterAlreadyExistsFault."""
    return fault("DBClusterAlreadyExistsFault", "DB Cluster already exists")


def cluster_state(message: str) -> RDSClientError:
    """Return InvalidDBClusterStateFault."""
    return fault("InvalidDBClusterStateFault", message)


def snapshot_not_found(identifier: str) -> RDSClientError:
    """Return DBClusterSnapshotNotFoundFault."""
    return fault("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {identifier} not found.")


def snapshot_exists(identifier: str) -> RDSClientError:
    """Return DBClusterSnapshotAlreadyExistsFault."""
    return fault(
        "DBClusterSnapshotAlreadyExistsFault",
        "Cannot create the cluster snapshot because one with the identifier "
        f"{identifier} already exists.",
    )


def snapshot_state(message: str) -> RDSClientError:
    """Return InvalidDBClusterSnapshotStateFault."""
    return fault("InvalidDBClusterSnapshotStateFault", message)


def instance_not_found(identifier: str) -> RDSClientError:
    """Return DBInstanceNotFound: the code carries no "Fault"."""
    return fault("DBInstanceNotFound", f"DBInstance {identifier} not found.")


def instance_state(message: str) -> RDSClientError:
    """Return InvalidDBInstanceState: the code carries no "Fault"."""
    return fault("InvalidDBInstanceState", message)


def key_not_accessible(key: str | None) -> RDSClientError:
    """Return KMSKeyNotAccessibleFault."""
    return fault(
        "KMSKeyNotAccessibleFault",
        f"The specified KMS key [{key or 'null'}] does not exist, is not enabled or you do not "
        "have permissions to access it.",
    )
