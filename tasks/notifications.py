"""The last step: tell that the target is refreshed."""

from aurora_restore.details import NotificationSent, SnapshotArchived, Step
from aurora_restore.endings import announce_success
from tasks.step import step


@step(Step.SEND_NOTIFICATION)
def send_notification(archived: SnapshotArchived) -> NotificationSent:
    """Return once SNS has accepted the announcement of success."""
    message_id = announce_success(archived)
    return archived.then(NotificationSent, message_id=message_id)
