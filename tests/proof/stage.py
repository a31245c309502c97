"""Where faults are planted: the sandbox, the request, the settings."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from aurora_restore import preflight, settings
from aurora_restore.request import RestoreRequest
from demo.facts import request
from sandbox import Sandbox
from sandbox.faults import Fault as ApiFault

OPERATION = "op-001"
HOUR = 3600
READING = ("Describe", "Get", "List", "Query", "AssumeRole")


def is_change(event: dict[str, Any]) -> bool:
    """Whether an entry of the log tells of a change, or of an attempt at one."""
    if event["kind"] != "call":
        return True
    asked = event["parameters"].get("DryRun") is True
    return not (asked or event["operation"].startswith(READING))


@dataclass
class Stage:
    """A refresh that is about to run; what it asks for may be changed by wishes."""

    aws: Sandbox
    monkeypatch: pytest.MonkeyPatch
    wishes: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)

    def examine(self) -> preflight.Examination:
        """Look at what the refresh needs, by the product."""
        given = RestoreRequest.model_validate(request(self.aws, **self.wishes))
        return preflight.examine(given, OPERATION)

    @property
    def facts(self) -> dict[str, Any]:
        return self.aws.facts

    @property
    def target(self) -> Any:
        """An administrator's RDS of the target account."""
        return self.aws.client("rds")

    @property
    def source(self) -> Any:
        """The same of the source account."""
        return self.aws.client("rds", "source")

    def wish(self, **wishes: Any) -> None:
        """Change the request."""
        self.wishes |= wishes

    def unwish(self, *fields: str) -> None:
        """Ask for these again as the sandbox's request does."""
        for each in fields:
            self.wishes.pop(each, None)

    def setting(self, name: str, text: str | None) -> None:
        """Change one of the settings; what it was is kept."""
        variable = f"AURORA_RESTORE_{name}"
        self.kept.setdefault(variable, os.environ.get(variable))
        if text is None:
            self.monkeypatch.delenv(variable, raising=False)
        else:
            self.monkeypatch.setenv(variable, text)
        settings.settings.cache_clear()

    def unset(self, name: str) -> None:
        """Take a setting's change back."""
        self.setting(name, self.kept[f"AURORA_RESTORE_{name}"])

    def file(self, name: str, content: bytes) -> None:
        """Put a file into the folder that requests name files of."""
        if "files" not in self.kept:
            self.kept["files"] = TemporaryDirectory()
            self.setting("FILES", self.kept["files"].name)
        (Path(self.kept["files"].name) / name).write_bytes(content)

    def fail(self, service: str, operation: str, code: str = "AccessDenied", **more: Any) -> None:
        """Let AWS answer an operation with an error until that is cleared."""
        self.aws.plant(
            ApiFault(service, operation, code, f"not authorized: {operation}", times=None, **more)
        )

    def modify(self, **changes: Any) -> None:
        """Change the old cluster and wait for it."""
        self.target.modify_db_cluster(
            DBClusterIdentifier="staging", ApplyImmediately=True, **changes
        )
        self.aws.advance(HOUR)

    def cluster(self, name: str, side: str = "target", **more: Any) -> None:
        """Make a cluster."""
        wanted = {
            "Engine": "aurora-postgresql",
            "MasterUsername": "postgres",
            "MasterUserPassword": "not-a-secret-1",
        }
        self.aws.client("rds", side).create_db_cluster(
            **(wanted | {"DBClusterIdentifier": name} | more)
        )
        self.aws.advance(HOUR)

    def instance(self, name: str, cluster: str, engine: str = "aurora-postgresql") -> None:
        """Make an instance of a cluster of the target account."""
        self.target.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier=cluster,
            DBInstanceClass="db.r6g.large",
            Engine=engine,
        )
        self.aws.advance(HOUR)

    def snapshot(self, name: str, cluster: str, side: str = "source") -> None:
        """Take a snapshot of a cluster."""
        self.aws.client("rds", side).create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name, DBClusterIdentifier=cluster
        )
        self.aws.advance(HOUR)

    def snapshot_of_new(self, name: str, **cluster: Any) -> None:
        """Take a snapshot of a new cluster of the source account, and ask for it.

        Its database is empty: there is no schema in which roles could get privileges.
        """
        self.cluster(f"of-{name}", "source", **cluster)
        self.snapshot(name, f"of-{name}")
        self.wish(snapshot_id=name, roles=[])

    def secret(self, content: str, name: str = "aurora-restore/app") -> None:
        """Give a secret of the target account another content; what it was is kept."""
        keeper = self.aws.client("secretsmanager")
        was = keeper.get_secret_value(SecretId=name)["SecretString"]
        self.kept.setdefault(name, was)
        keeper.put_secret_value(SecretId=name, SecretString=content)

    def kms(self, side: str = "target", region: str | None = None) -> Any:
        """An administrator's KMS."""
        return self.aws.client("kms", side, region)

    def policy(self, side: str, key: str, *accounts: str, region: str | None = None) -> None:
        """Let only these accounts use a key; what its policy was is kept."""
        kms = self.kms(side, region)
        was = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        self.kept.setdefault(key, was)
        roots = [f"arn:aws:iam::{each}:root" for each in accounts]
        allow = {
            "Effect": "Allow",
            "Principal": {"AWS": roots},
            "Action": "kms:*",
            "Resource": "*",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document)

    def put_policy_back(self, side: str, key: str) -> None:
        """Give a key the policy that it had."""
        self.kms(side).put_key_policy(KeyId=key, PolicyName="default", Policy=self.kept[key])
