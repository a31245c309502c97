"""What SNS refuses and moto accepts."""

from sandbox.wire import AwsError, Call

SUBJECT_LENGTH = 99
MESSAGE_BYTES = 262_144
PRINTABLE = range(0x20, 0x7F)


def check_publish(call: Call) -> None:
    """Refuse a message as SNS does.

    Raises:
        AwsError: InvalidParameter, if the subject is not 1 to 99 characters of printable ASCII, or
            if the message is empty or longer than 256 KiB.

    Source: SNS API reference, Publish (Subject, Message).
    """
    if call.service != "sns" or call.operation != "Publish":
        return
    message, subject = call.parameters.get("Message", ""), call.parameters.get("Subject")
    if not message:
        raise AwsError("InvalidParameter", "Invalid parameter: Empty message")
    if len(message.encode()) > MESSAGE_BYTES:
        raise AwsError("InvalidParameter", "Invalid parameter: Message too long")
    if subject is None:
        return
    good = 0 < len(subject) <= SUBJECT_LENGTH and subject[0] != " "
    if not good or any(ord(character) not in PRINTABLE for character in subject):
        raise AwsError("InvalidParameter", "Invalid parameter: Subject")
