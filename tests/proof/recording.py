"""Records what the product asks of IAM in this process: botocore's events, nothing replaced."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import clients
from authorizing import Alike, Asked, Call
from botocore.exceptions import ClientError

from aurora_restore import sessions
from aurora_restore.settings import settings
from sandbox import Sandbox
from tests.infra import stacks

FILE = Path(__file__).resolve().parents[1] / "data" / "calls.json"

Role = str
Recorded = tuple[Role, Asked]


class Recorder:
    """Hears of every call of the product's sessions before it is sent.

    `role` is who calls with the target account's credentials.
    """

    def __init__(self, aws: Sandbox) -> None:
        self._aws, self._lock, self._making = aws, threading.Lock(), threading.Lock()
        facts = aws.facts
        self._alike = Alike(
            {
                facts["target_key_arn"]: stacks.CLUSTER_KEY,
                facts["source_key_arn"]: stacks.SOURCE_KEY,
                facts["hop_key_arn"]: stacks.HOP_KEY,
            }
        )
        self._seen: dict[str, Recorded] = {}
        self.calls, self.role = 0, "flow"
        clients.forget()
        known = settings()
        for identity in ((None, None), (known.source_role_arn, known.source_external_id)):
            core = sessions._session(*identity)._session
            core.register("before-parameter-build", self._given)
            core.register("before-call", self._called("source" if identity[0] else None))

    def recorded(self) -> list[Recorded]:
        """Return each request to IAM once, in order."""
        return [self._seen[name] for name in sorted(self._seen)]

    @staticmethod
    def _given(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["given"] = dict(params)

    def _called(self, assumed: Role | None) -> Any:
        def called(model: Any, request_signer: Any, context: dict[str, Any], **_: Any) -> None:
            # The role's own credentials are fetched by the one that assumes it.
            acting = "flow" if model.name == "AssumeRole" else assumed or self.role
            side = "source" if acting == "source" else "target"
            call = Call(
                account=self._aws.facts[f"{side}_account"],
                region=request_signer.region_name,
                service=model.service_model.service_name,
                operation=model.name,
                parameters=context["given"],
                tags_of=self._tags_of,
                key_of=lambda key, region: self._key_of(side, key, region),
                key_behind=self._key_behind,
                state_key=stacks.STATE_KEY,
            )
            asked = [self._alike.asked(each) for each in call.asks()]
            with self._lock:
                self.calls += 1
                for each in asked:
                    entry = {"role": acting, "action": each.action, "resource": each.resource}
                    name = json.dumps(entry | {"context": each.context}, sort_keys=True)
                    self._seen[name] = (acting, each)

        return called

    def _administrator(self, service: str, arn: str) -> Any:
        _, _, _, region, account, *_ = arn.split(":")
        return self._client(service, account, region)

    def _client(self, service: str, account: str, region: str) -> Any:
        with self._making:  # preflight calls from several threads
            return self._aws.client(service, account, region)

    def _tags_of(self, arn: str) -> dict[str, str]:
        """Return a resource's tags, as an administrator sees them; none if it is not there."""
        try:
            if ":secretsmanager:" in arn:
                found = self._administrator("secretsmanager", arn).describe_secret(SecretId=arn)
                return {each["Key"]: each["Value"] for each in found.get("Tags", [])}
            found = self._administrator("rds", arn).list_tags_for_resource(ResourceName=arn)
        except ClientError:
            return {}
        return {each["Key"]: each["Value"] for each in found["TagList"]}

    def _key_of(self, side: str, key: str, region: str) -> str:
        account = self._aws.facts[f"{side}_account"]
        if key.startswith("arn:"):
            _, _, _, region, account, _ = key.split(":", 5)
        kms = self._client("kms", account, region)
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        if found["KeyManager"] != "AWS":
            return str(found["Arn"])
        [alias] = kms.list_aliases(KeyId=found["KeyId"])["Aliases"]
        return f"{found['Arn']}-of-{alias['AliasName'].removeprefix('alias/').replace('/', '-')}"

    def _key_behind(self, arn: str) -> str | None:
        rds, (kind, name) = self._administrator("rds", arn), arn.split(":", 5)[5].split(":", 1)
        try:
            if kind == "cluster":
                found = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
            else:
                automated = {"SnapshotType": "automated"} if name.startswith("rds:") else {}
                found = rds.describe_db_cluster_snapshots(
                    DBClusterSnapshotIdentifier=name, **automated
                )["DBClusterSnapshots"]
        except ClientError:
            return None
        return str(found[0]["KmsKeyId"]) if found and "KmsKeyId" in found[0] else None


def written(recorded: Iterable[Recorded]) -> str:
    """Return the requests as a file of one line each."""
    lines = (
        json.dumps({"role": role, **asked.__dict__}, sort_keys=True) for role, asked in recorded
    )
    return "[\n" + ",\n".join(lines) + "\n]\n"


def read() -> list[Recorded]:
    """Return what was recorded when the file was written."""
    return [
        (each["role"], Asked(each["action"], each["resource"], each["context"]))
        for each in json.loads(FILE.read_text())
    ]
