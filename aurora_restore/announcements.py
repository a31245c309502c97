"""What is told when an operation ends: one SNS message for people's chat and for machines."""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from aurora_restore.errors import RestoreError, aws_code

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MAX_SUBJECT = 99
MAX_DESCRIPTION = 4000

Result = Literal["SUCCESS", "FAILED", "CANCELLED", "CRASHED"]
_VERB = {
    "SUCCESS": "refreshed",
    "FAILED": "refresh FAILED",
    "CANCELLED": "refresh was cancelled",
    "CRASHED": "refresh CRASHED",
}


class TopicUnavailable(RestoreError):
    """SNS did not take the message."""

    remedy = "Check AURORA_RESTORE_TOPIC_ARN, its policy and its key, then run again."


class Outcome(BaseModel, frozen=True):
    """How an operation ended: everything its announcement says."""

    operation_id: str
    result: Result
    target: str
    snapshot: str
    data_from: datetime | None = None
    duration_seconds: int | None = None
    step: str | None = None
    error: dict[str, Any] | None = None
    endpoint: str | None = None
    old_cluster: str | None = None
    next_command: str

    @property
    def data_age_hours(self) -> float | None:
        """How old the restored data is, in hours."""
        if self.data_from is None:
            return None
        return round((datetime.now(UTC) - self.data_from).total_seconds() / 3600, 1)


def subject(outcome: Outcome) -> str:
    """Return one line of printable ASCII, 1 to 99 characters.

    Source: SNS API, Publish, Subject.
    """
    text = f"{outcome.target.rsplit('/', 1)[-1]} {_VERB[outcome.result]}"
    if outcome.step is not None and outcome.result != "SUCCESS":
        text += f" at {outcome.step}"
    return re.sub(r"[^\x20-\x7e]", "?", text).strip()[:MAX_SUBJECT]


def message(outcome: Outcome) -> str:
    """Return the body, in the custom-notification schema of Amazon Q Developer in chat.

    `additionalContext` holds the same facts for machines; all its values are texts.

    Source: Amazon Q Developer in chat applications, custom notifications.
    """
    facts = {
        "result": outcome.result,
        "operation_id": outcome.operation_id,
        "target": outcome.target,
        "snapshot": outcome.snapshot,
        "data_from": outcome.data_from.isoformat() if outcome.data_from else None,
        "data_age_hours": outcome.data_age_hours,
        "duration_seconds": outcome.duration_seconds,
        "endpoint": outcome.endpoint,
        "old_cluster": outcome.old_cluster,
        "step": outcome.step,
        "error_type": outcome.error["type"] if outcome.error else None,
        "error": outcome.error["message"][:1000] if outcome.error else None,
        "aws_error_code": outcome.error.get("aws_error_code") if outcome.error else None,
        "next_command": outcome.next_command,
    }
    body = json.dumps(
        {
            "version": "1.0",
            "source": "custom",
            "id": f"{outcome.operation_id}-{outcome.result}".lower(),
            "content": {
                "textType": "client-markdown",
                "title": _title(outcome),
                "description": _description(outcome)[:MAX_DESCRIPTION],
                "nextSteps": [outcome.next_command],
                "keywords": ["aurora-restore", outcome.result, outcome.target],
            },
            "metadata": {
                "threadId": outcome.operation_id,
                "summary": subject(outcome),
                "eventType": f"aurora-restore-{outcome.result}".lower(),
                "additionalContext": {
                    name: str(value) for name, value in facts.items() if value is not None
                },
            },
        },
        ensure_ascii=False,
    )
    return body.encode(errors="replace").decode()  # half a character could not be sent


def attributes(outcome: Outcome) -> dict[str, dict[str, str]]:
    """Return the message attributes a subscription can filter on."""
    values = {
        "result": outcome.result,
        "target_cluster": outcome.target.rsplit("/", 1)[-1],
        "operation_id": outcome.operation_id,
    }
    if outcome.step is not None:
        values["step"] = outcome.step
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def publish(sns: "SNSClient", topic_arn: str, outcome: Outcome) -> str:
    """Send the announcement; return SNS's message id. A repeat sends it again.

    Raises:
        TopicUnavailable: SNS did not take it.

    Source: SNS API, Publish.
    """
    try:
        answer = sns.publish(
            TopicArn=topic_arn,
            Subject=subject(outcome),
            Message=message(outcome),
            MessageAttributes=attributes(outcome),  # type: ignore[arg-type]
        )
    except (ClientError, BotoCoreError) as error:
        reason = aws_code(error) or type(error).__name__
        raise TopicUnavailable(f"topic {topic_arn}", f"Publish was refused ({reason})") from error
    return answer["MessageId"]


def require_topic(sns: "SNSClient", topic_arn: str) -> None:
    """Return if the topic is there and may be used.

    Raises:
        TopicUnavailable: it is not.

    Source: SNS API, GetTopicAttributes.
    """
    try:
        sns.get_topic_attributes(TopicArn=topic_arn)
    except (ClientError, BotoCoreError) as error:
        reason = aws_code(error) or type(error).__name__
        raise TopicUnavailable(f"topic {topic_arn}", f"it cannot be used ({reason})") from error


def duration_text(seconds: float) -> str:
    """Return a duration for people, e.g. "1 h 05 min" or "42 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _title(outcome: Outcome) -> str:
    mark = "✅" if outcome.result == "SUCCESS" else "❌"
    return f"{mark} Aurora cluster {outcome.target.rsplit('/', 1)[-1]} {_VERB[outcome.result]}"


def _description(outcome: Outcome) -> str:
    lines = [f"*Target* {outcome.target}", f"*Snapshot* {outcome.snapshot}"]
    if outcome.data_from is not None:
        lines.append(f"*Data from* {outcome.data_from:%Y-%m-%d %H:%M} UTC")
    if outcome.duration_seconds is not None:
        lines.append(f"*Took* {duration_text(outcome.duration_seconds)}")
    if outcome.endpoint is not None:
        lines.append(f"*Endpoint* {outcome.endpoint}")
    if outcome.error is not None:
        lines.append(f"*Failed at* {outcome.step}")
        lines.append(f"*Error* {outcome.error['message']}")
    if outcome.old_cluster is not None:
        lines.append(f"*Old cluster* {outcome.old_cluster}")
    lines.append(f"*Operation* {outcome.operation_id}")
    return "\n".join(lines)
