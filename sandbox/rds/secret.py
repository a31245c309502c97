"""A master password that RDS keeps in Secrets Manager."""

import json
import secrets
import string
import uuid

from moto.rds.models import RDSBackend

from sandbox.rds import checks, durations
from sandbox.rds.runtime import runtime

_LETTERS = string.ascii_letters + string.digits + "!#$%&*+-=?^_~"


class ManagedSecret:
    """The secret behind a cluster's MasterUserSecret. A real one, in the cluster's account.

    Source: RDS API, ModifyDBCluster (ManageMasterUserPassword) and MasterUserSecret; the secret's
    value holds username and password only.
    """

    def __init__(
        self, backend: RDSBackend, cluster_arn: str, username: str, key: str | None
    ) -> None:
        self._region, self._account = backend.region_name, backend.account_id
        key_arn = checks.key(backend, key or "alias/aws/secretsmanager")
        self.kms_key_id = key_arn
        self.username = username
        self.password = new_password()
        created = backend.secretsmanager.create_managed_secret(
            service_name="rds",
            secret_id=f"rds!cluster-{uuid.uuid4()}",
            secret_string=self._value(),
            description=f"The secret associated with the primary RDS DB cluster: {cluster_arn}",
            kms_key_id=key_arn,
            tags=[{"Key": "aws:rds:primaryDBClusterArn", "Value": cluster_arn}],
        )
        self.secret_arn = str(created.arn)
        self._busy = "creating"
        self._ready = self._later()

    @property
    def secret_status(self) -> str:
        """Return `creating` or `rotating` for a while, then `active`."""
        return "active" if runtime().clock.now() >= self._ready else self._busy

    def rotate(self, backend: RDSBackend) -> None:
        """Put a new random password into the secret."""
        self.password = new_password()
        backend.secretsmanager.put_secret_value(
            self.secret_arn, self._value(), "", str(uuid.uuid4()), ["AWSCURRENT"]
        )
        self._busy, self._ready = "rotating", self._later()

    def delete(self, backend: RDSBackend) -> None:
        """Remove the secret at once, without a recovery window."""
        backend.secretsmanager.delete_secret(
            self.secret_arn, recovery_window_in_days=None, force_delete_without_recovery=True
        )

    def _value(self) -> str:
        return json.dumps({"username": self.username, "password": self.password})

    @staticmethod
    def _later() -> float:
        clock = runtime().clock
        return clock.now() + clock.real(durations.LAG + durations.SECRET)


def new_password() -> str:
    """Return a random password that RDS would accept."""
    return "".join(secrets.choice(_LETTERS) for _ in range(32))
