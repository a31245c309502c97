"""The policies of the stacks allow what is asked for and nothing else, no statement in vain.

An independent simulator judges them, by npm's @cloud-copilot/iam-simulate.

What runs ask for is recorded from whole runs on the sandbox, and kept in tests/data/calls.json;
`UPDATE_GOLDEN=1` writes that file anew. What the sandbox does not carry out (ECS, the worker, AWS's
own services), and what CI asks for by commands that are not ours, is in `declared`.
"""

import json
import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import clients
import pytest
from court import NOT_JUDGED, OURS, documents, of_another_target, question, questions
from declared import declared
from denials import DENIED
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from recording import FILE, Recorded, Recorder, read, written
from simulator import Question, judge

from aurora_restore.cli import main
from demo.stack import PrefectStack
from flows.watchdog import watch_operations
from sandbox import Sandbox
from tests.infra import stacks

Property = Callable[[str, object], None]
Refresh = Callable[..., Any]
HOUR = 3600
NEW_ROLE = {
    "name": "newcomer",
    "secret_id": "aurora-restore/newcomer",
    "make_secret": True,
    "access": "read_only",
    "schemas": ["sales"],
}
AUTOMATED = {
    "snapshot_id": None,
    "source_cluster_id": "production",
    "snapshot_type": "automated",
    "copy_route": "two-hops",
}


def prove(recorded: list[Recorded], record_property: Property) -> None:
    """Judge everything; tell the counts; fail with what is not as it must be."""
    asked = questions([*recorded, *of_another_target(recorded), *declared()])
    forbidden = {name: question(*case) for name, case in DENIED.items()}

    verdict = judge(documents(), [*asked, *forbidden.values()], OURS)

    answered = list(zip(asked, verdict.answers, strict=False))
    answered_no = zip(forbidden, verdict.answers[len(asked) :], strict=True)
    refused = [f"{each}: {answer}" for each, answer in answered if answer != "Allowed"]
    admitted = [f"{name}: {answer}" for name, answer in answered_no if "Denied" not in answer]
    idle = unused(asked)
    judged = {name: by for name, by in verdict.needed.items() if name not in NOT_JUDGED}
    superfluous = [name for name, by in judged.items() if by is None]
    entries = {name: by for name, by in verdict.entries.items() if name not in NOT_JUDGED}
    idle += [": ".join(name) for name, by in entries.items() if by is None]
    record_property("calls", len(asked) - len(refused))
    record_property("statements", len(judged))
    record_property("needed", len(judged) - len(superfluous))
    record_property("entries", len(entries))
    record_property("must_deny", len(forbidden))
    record_property("denied", len(forbidden) - len(admitted))
    assert refused == []
    assert superfluous == []
    assert idle == []
    assert admitted == []


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def unused(asked: list[Question]) -> list[str]:
    """Return each action of our policies that nobody asks for."""
    return [
        f"{name}: {pattern}"
        for name in OURS
        for statement in documents()[name].policy["Statement"]
        if (name, statement.get("Sid")) not in NOT_JUDGED
        for pattern in listed(statement["Action"])
        if not any(name in each.documents and fnmatchcase(each.action, pattern) for each in asked)
    ]


def kinds(recorded: list[Recorded]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    """Return who asked for which action on what kind of resource, with which condition keys."""
    return {
        (role, each.action, _kind(each.resource), tuple(sorted(each.context)))
        for role, each in recorded
    }


def _kind(arn: str) -> str:
    service, resource = ("", arn) if arn == "*" else (arn.split(":")[2], arn.split(":", 5)[5])
    return f"{service}:{resource.replace('/', ':').split(':')[0]}"


def test_policies_allow_what_was_recorded(record_property: Property) -> None:
    """
    Of the kept list every request is allowed, every statement is needed; the rest is denied.
    """
    prove(read(), record_property)


# ── whole runs ───────────────────────────────────────────────────────────────


@pytest.fixture
def recorder(aws: Sandbox, account: None) -> Iterator[Recorder]:
    """What this process asks for from now on."""
    yield Recorder(aws)
    clients.forget()


def everything_set(aws: Sandbox) -> None:
    """Give the old cluster what a new one inherits by calls of its own."""
    rds, role = aws.client("rds"), stacks.TARGET_PARAMETERS["DatabaseRoleArns"]
    rds.modify_db_instance(
        DBInstanceIdentifier="staging-1",
        MonitoringInterval=60,
        MonitoringRoleArn=role,
        ApplyImmediately=True,
    )
    rds.enable_http_endpoint(ResourceArn=aws.facts["target_cluster_arn"])
    rds.modify_db_cluster(
        DBClusterIdentifier="staging", DeletionProtection=True, ApplyImmediately=True
    )
    aws.advance(HOUR)


def uploaded(aws: Sandbox) -> str:
    """Put a script where the stack lets the flow read; return its name."""
    s3, bucket, key = aws.client("s3"), "refresh-files", "staging/after.sql"
    here = {"LocationConstraint": stacks.TARGET_REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=here)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"SELECT 1")["VersionId"]
    return f"s3://{bucket}/{key}?versionId={version}"


def runs(aws: Sandbox, refresh: Refresh) -> None:
    """Let the product do all it can: modes, ways of a copy, ways back, cleaning up."""
    everything_set(aws)
    assert refresh("op-1", lift_deletion_protection=True).error is None
    assert (
        refresh("op-2", replace="swap", keep_old_hours=1, lift_deletion_protection=True).error
        is None
    )
    aws.advance(2 * HOUR)
    copied = AUTOMATED | {"hop_kms_key_id": aws.facts["hop_key_arn"], "archive_keep_newest": 1}
    assert refresh("op-3", lift_deletion_protection=True, **copied).error is None

    aws.reset()
    secret = aws.facts["master_secret_arn"]
    data = {"scripts": [{"file": uploaded(aws)}], "roles": [NEW_ROLE]}
    assert refresh("op-4", master_secret_id=secret, archive="delete", **data).error is None
    aws.plant("restore-failed")
    assert refresh("op-5").error is not None
    aws.clear()
    aws.plant("rename-refused", identifier="staging-new-*", code="AccessDenied", times=None)
    aws.plant("sns-refused")
    assert refresh("op-6", replace="swap").error is not None
    aws.clear()
    watch_operations()
    assert main(["cleanup", "--older-than", "0m"]) == 0

    aws.reset()
    kms, key = aws.client("kms", "source"), aws.facts["source_key_arn"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    own = [each for each in policy["Statement"] if aws.facts["source_account"] in str(each)]
    closed = json.dumps(policy | {"Statement": own})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=closed)
    assert refresh("op-7").error is not None


def looks_of_ci(recorder: Recorder) -> None:
    """Let the product do what deploy.yml and restore.yml have it do with a role of their own."""
    recorder.role = "deploy"
    main(["doctor"])
    recorder.role = "restore"
    assert main(["status", "op-7", "--follow"]) == 1  # it has FAILED


@pytest.mark.long
@pytest.mark.timeout(900)
def test_policies_allow_what_runs_ask(
    aws: Sandbox,
    recorder: Recorder,
    refresh: Refresh,
    prefect: PrefectStack,
    record_property: Property,
) -> None:
    """
    The same of a fresh recording, which asks for nothing of a kind that is not in the kept list.
    """
    with temporary_settings(
        {PREFECT_API_URL: f"{prefect.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    ):
        runs(aws, refresh)
    looks_of_ci(recorder)
    fresh = recorder.recorded()

    if os.environ.get("UPDATE_GOLDEN"):
        FILE.write_text(written(fresh))
    assert recorder.calls > len(fresh)
    assert kinds(fresh) <= kinds(read())
    prove(fresh, record_property)
