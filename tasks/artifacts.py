"""What a run shows in the Prefect UI beside its logs. Never keeps a step from its work."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import PrefectException
from prefect.logging import get_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, Settings

logger = get_logger(__name__)

_progress: dict[str, UUID] = {}


def show_progress(step: str, task_run_id: str, percent: int, what: str) -> None:
    """Show how far a wait has come (0 to 100), as one artifact for each task run."""
    with optional():
        if task_run_id in _progress:
            update_progress_artifact(_progress[task_run_id], percent, description=what)
        else:
            made = create_progress_artifact(percent, key=f"{step}-progress", description=what)
            if isinstance(made, UUID):
                _progress[task_run_id] = made


def show_summary(markdown: str) -> None:
    """Show how the operation went."""
    with optional():
        create_markdown_artifact(markdown, key="restore-summary", description="Aurora refresh")


@contextmanager
def optional() -> Iterator[None]:
    """Let a request to Prefect's API fail at once, without retries, and go on."""
    try:
        with _without_retries():
            yield
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Prefect's API did not take it: %s", error)


def _without_retries() -> SettingsContext:
    """Return Prefect's settings of now, without retries; made once, since that takes a while."""
    now = get_settings_context()
    if _quick.get("of") is not now.settings:
        _quick["of"] = now.settings
        _quick["are"] = now.settings.copy_with_update({PREFECT_CLIENT_MAX_RETRIES: 0})
    return SettingsContext(profile=now.profile, settings=_quick["are"])


_quick: dict[str, Settings] = {}


def show_plan(markdown: str) -> None:
    """Show what a refresh would do, and what stands in its way."""
    with optional():
        create_markdown_artifact(markdown, key="restore-plan", description="Plan of a refresh")
