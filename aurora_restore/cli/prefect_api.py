"""Prefect's API, asked over HTTP: the library does without Prefect, whose client takes seconds."""

import os
from collections.abc import Mapping
from typing import Any

import httpx

from aurora_restore.cli.prefect_run import PrefectUnreachable

PATIENCE_SECONDS = 20


class PrefectApi:
    """What an environment points at, as Prefect itself reads it. Only reads."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Take address and credentials.

        Raises:
            PrefectUnreachable: there is no address.
        """
        self.url = environment.get("PREFECT_API_URL", "").rstrip("/")
        if not self.url:
            raise PrefectUnreachable(
                "Prefect's API", "PREFECT_API_URL is not set", "Set it to the server's, with /api."
            )
        headers, auth = {}, None
        if key := environment.get("PREFECT_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        elif word := environment.get("PREFECT_API_AUTH_STRING"):
            user, _, password = word.partition(":")
            auth = (user, password)
        self._client = httpx.Client(headers=headers, auth=auth, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> Any:
        """Return what is there; None if nothing is.

        Raises:
            PrefectUnreachable: there is no answer, or a refusal.
        """
        return self._ask("GET", path)

    def find(self, path: str, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a filter finds.

        Raises:
            PrefectUnreachable: there is no answer, or a refusal.
        """
        return list(self._ask("POST", path, dict(wanted)) or [])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        resource = f"Prefect's API {self.url}"
        try:
            answer = self._client.request(method, f"{self.url}/{path}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = f"no answer ({type(error).__name__}: {error})"
            raise PrefectUnreachable(resource, problem) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise PrefectUnreachable(
                resource,
                f"it refuses these credentials ({answer.status_code})",
                "Set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING (a server of your "
                "own) rightly.",
            )
        if not answer.is_success:
            raise PrefectUnreachable(resource, f"it answers {answer.status_code} to {path}")
        try:
            return answer.json()
        except ValueError as error:
            problem = "it answers with something that is not JSON"
            raise PrefectUnreachable(resource, problem) from error
