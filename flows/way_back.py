"""The way back: what a failure has left half done is undone before it is announced."""

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from prefect.exceptions import PrefectException
from prefect.logging import get_logger

from aurora_restore import ledger
from aurora_restore.details import Step
from aurora_restore.errors import RecordsUnavailable, RestoreError, Superseded, TimedOut
from aurora_restore.leases import acting
from aurora_restore.rds import copying, tags
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import rds_clients
from tasks.clusters import bring_back_old
from tasks.polling import polled

logger = get_logger(__name__)


def go_back(request: RestoreRequest, operation_id: str, error: Exception) -> None:
    """Bring the old cluster back if it does not serve because of this operation.

    Raises nothing: what cannot be brought back is recorded, logged, and announced as such.
    """
    # Prefect's own trouble is not the refresh's; without records nothing may be done; and where a
    # later operation's cluster serves there is nothing to bring back.
    if isinstance(error, PrefectException | httpx.HTTPError | RecordsUnavailable | Superseded):
        return
    try:
        failed = ledger.begin_way_back(request, operation_id)
        if failed is None:
            return
        logger.warning("The refresh failed; the old cluster is brought back")
        if isinstance(error, TimedOut) and failed.failing_step is Step.DELETE_CLUSTER:
            failed = failed.model_copy(update={"aside": True})
        try:
            polled(bring_back_old)(failed)
        except RestoreError:
            if failed.aside:
                raise
            # Its identifier does not become free: it serves under another one, then.
            polled(bring_back_old)(failed.model_copy(update={"aside": True}))
    except (RestoreError, ClientError, BotoCoreError) as problem:
        logger.error("The old cluster was not brought back: %s", problem)  # noqa: TRY400


def tidy_copy(request: RestoreRequest, operation_id: str) -> None:
    """Take back what was done in the source account for a copy that was not finished.

    Raises nothing: what is left carries the operation's tag.
    """
    try:
        plan = ledger.unfinished_copy(request, operation_id)
        if plan is not None:
            marks = tags.marks(operation_id, plan.target_cluster_id)
            with acting(operation_id):
                copying.tidy(plan.route, rds_clients(request), marks)
    except (RestoreError, ClientError, BotoCoreError) as problem:
        logger.warning("Left as it is, marked: %s", problem)
