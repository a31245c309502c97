"""The table of AWS's errors: complete by AWS's own model, both spellings, two meanings."""

import inspect
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

import aurora_restore
from aurora_restore.errors import NotReady
from aurora_restore.faults import EVERYWHERE, SAID, TABLE, Act, looking_again, verdict, waiting

RDS: Any = boto3.client("rds", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-")
MODEL = RDS.meta.service_model
# Emulators send it, AWS's model does not have it.
UNMODELLED = {("RestoreDBClusterFromSnapshot", "DBClusterSnapshotAlreadyExists")}


def shapes(operation: str) -> list[Any]:
    """Return the errors that AWS models for an operation."""
    return list(MODEL.operation_model(operation).error_shapes)


def called() -> set[str]:
    """Return the RDS operations of the library's source: methods, and names given to paginators."""
    methods: dict[str, str] = RDS.meta.method_to_api_mapping
    found: set[str] = set()
    for file in Path(aurora_restore.__file__).parent.rglob("*.py"):
        # An attribute, or a text alone in its quotes.
        words = re.findall(r"""\.(\w+)|["'](\w+)["']""", file.read_text())
        found |= {methods[name] for pair in words for name in pair if name in methods}
    return found


def error(operation: str, code: str, message: str = "planted", status: int = 400) -> ClientError:
    """Return what botocore raises when AWS answers so."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


def test_table_has_every_operation_and_every_modelled_error() -> None:
    """
    What the library calls and what AWS may answer is all there, and nothing else: 125 pairs.
    """
    modelled = {
        (operation, shape.name.removesuffix("Fault"))
        for operation in called()
        for shape in shapes(operation)
    }

    assert set(TABLE) == called()
    assert {(name, code) for name, row in TABLE.items() for code in row} == modelled | UNMODELLED
    assert (len(TABLE), len(modelled)) == (21, 125)


def test_code_and_class_name_mean_the_same() -> None:
    """
    Some codes differ from the name of their class on the wire; each spelling is known.
    """
    pairs = [(operation, shape) for operation in TABLE for shape in shapes(operation)]

    wrong = [
        (operation, name)
        for operation, shape in pairs
        for name in (shape.name, shape.error_code)
        if verdict(error(operation, name)) is not TABLE[operation][shape.name.removesuffix("Fault")]
    ]

    assert wrong == []
    assert len({each.name for _, each in pairs if each.name != each.error_code}) == 26


@pytest.mark.parametrize(
    ("operation", "code", "message", "act"),
    [
        (
            "CopyDBClusterSnapshot",
            "SnapshotQuotaExceeded",
            "Cannot copy more than 5 snapshots across regions",
            Act.WAIT,
        ),
        (
            "CopyDBClusterSnapshot",
            "SnapshotQuotaExceededFault",
            "Cannot create more than 100 manual snapshots",
            Act.END,
        ),
        (
            "DeleteDBInstance",
            "InvalidDBInstanceState",
            "Instance a is already being deleted.",
            Act.ADOPT,
        ),
        ("DeleteDBInstance", "InvalidDBInstanceState", "Instance a is rebooting.", Act.WAIT),
        (
            "DeleteDBCluster",
            "InvalidDBClusterStateFault",
            "This cluster is a part of a global cluster, please remove it from globalcluster first",
            Act.END,
        ),
        ("DeleteDBCluster", "InvalidDBClusterStateFault", "DbCluster a is not available", Act.WAIT),
        (
            "DeleteDBInstance",
            "InvalidDBClusterStateFault",
            "Delete the replica cluster before deleting the last master cluster instance.",
            Act.END,
        ),
        ("DeleteDBInstance", "InvalidDBClusterStateFault", "DbCluster a is starting", Act.WAIT),
    ],
)
def test_message_tells_two_meanings_apart(
    operation: str, code: str, message: str, act: Act
) -> None:
    """
    Where one code means two things, AWS's text decides.
    """
    assert (operation, code.removesuffix("Fault")) in SAID
    assert verdict(error(operation, code, message)) is act


@pytest.mark.parametrize(
    ("code", "status", "act"),
    [
        ("Throttling", 400, Act.WAIT),
        ("ThrottlingException", 400, Act.WAIT),
        ("RequestLimitExceeded", 503, Act.WAIT),
        ("InternalFailure", 500, Act.WAIT),
        ("ServiceUnavailable", 503, Act.WAIT),
        ("ExpiredToken", 403, Act.WAIT),
        ("AccessDenied", 403, Act.END),
        ("InvalidParameterValue", 400, Act.END),
        ("InvalidParameterCombination", 400, Act.END),
        ("ValidationError", 400, Act.END),
        ("CodeOfNextYear", 400, Act.END),
        ("CodeOfNextYear", 429, Act.WAIT),
        ("CodeOfNextYear", 500, Act.WAIT),
        ("502", 502, Act.WAIT),
    ],
)
@pytest.mark.parametrize("operation", ["DeleteDBCluster", "Publish"])
def test_code_that_is_no_operations_own_is_known_everywhere(
    operation: str, code: str, status: int, act: Act
) -> None:
    """
    Any call of any service may be throttled, denied or answered by a broken AWS; a code nobody
    knows is judged by its status.
    """
    assert verdict(error(operation, code, status=status)) is act


def test_no_code_is_in_two_rows() -> None:
    """
    A code of the general part is no operation's own, so that their order decides nothing.
    """
    assert [name for name, row in TABLE.items() if row.keys() & EVERYWHERE.keys()] == []
    assert {operation for operation, _ in SAID} <= set(TABLE)


def _raised() -> list[type[BotoCoreError]]:
    """Return botocore's own errors, but for those that only group others."""
    found = inspect.getmembers(exceptions, inspect.isclass)
    return [each for _, each in found if issubclass(each, BotoCoreError)]


def test_only_what_lies_on_the_way_is_waited_for() -> None:
    """
    Of botocore's own errors those wait that say AWS, or the source of credentials, is not reached.
    """

    def made(kind: type[BotoCoreError]) -> BotoCoreError:
        # Their constructors ask for the facts of their messages, which are of no interest.
        return kind.__new__(kind)

    assert {each.__name__ for each in _raised() if verdict(made(each)) is Act.WAIT} == {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "CredentialRetrievalError",
        "EndpointConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "SSLError",
    }


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            error("DescribeDBClusters", "Throttling", "Rate\n exceeded"),
            "DescribeDBClusters: AWS answers Throttling: Rate exceeded.",
        ),
        (
            error("DescribeDBClusters", "InternalFailure", "x" * 300),
            f"DescribeDBClusters: AWS answers InternalFailure: {'x' * 199}….",
        ),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://a"),
            'AWS: EndpointConnectionError: Could not connect to the endpoint URL: "https://a".',
        ),
    ],
)
def test_wait_is_told_in_one_line(said: ClientError | BotoCoreError, text: str) -> None:
    """
    Which call, which code, and the beginning of what AWS said.
    """
    assert str(waiting(said)) == text


def test_wait_of_a_resource_names_it() -> None:
    """
    A call for a resource tells which one waits, for what, and how far it is; the rest passes.
    """
    with pytest.raises(NotReady) as wait, looking_again("cluster c", "it cannot be born yet", 40):
        raise error("CreateDBInstance", "InvalidDBClusterStateFault")

    assert str(wait.value) == "cluster c: it cannot be born yet (InvalidDBClusterStateFault)."
    assert wait.value.percent == 40
    assert isinstance(wait.value.__cause__, ClientError)
    with pytest.raises(ClientError, match="InvalidSubnet"), looking_again("cluster c", "never"):
        raise error("CreateDBInstance", "InvalidSubnet")
