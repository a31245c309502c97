"""Text files that a request names: beside the code in the image, or one version of an S3 object."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aurora_restore.errors import Refused, aws_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGEST_BYTES = 1 << 20
_OBJECT = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]+)/(?P<key>.+?)(\?versionId=(?P<id>.*))?")
_MISSING = {"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
_MALFORMED = {"InvalidArgument", "PermanentRedirect", "AuthorizationHeaderMalformed", "301", "400"}


@dataclass(frozen=True)
class TextFile:
    """A file as it was read: what the request calls it, its text, SHA-256 of its bytes (hex)."""

    name: str
    text: str = field(repr=False)
    sha256: str


def read(name: str, folder: Path, s3: "S3Client") -> TextFile:
    """Return a file of `folder` (the setting `files`), or of S3.

    `name`: a path in the folder, or `s3://bucket/key?versionId=...`; the key as it is, without
    percent signs for other characters. A byte order mark is not part of the text.

    Raises:
        Refused: it is outside the folder, is not there, may not be read, has no version, is larger
            than 1 MiB, or is no UTF-8 text.

    Source: S3 API, GetObject.
    """
    resource = f"file {name}"
    content = _get(name, s3) if name.startswith("s3:") else _load(name, folder)
    if len(content) > LARGEST_BYTES:
        raise Refused(resource, "it is larger than 1 MiB", "Split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused(resource, f"line {line} is not UTF-8", "Save it in that encoding.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Refused(resource, f"line {line} holds a NUL character", "Remove it.")
    return TextFile(name, text, hashlib.sha256(content).hexdigest())


def _load(name: str, folder: Path) -> bytes:
    """Return up to one byte more than permitted."""
    resource = f"file {name}"
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise Refused(
                resource,
                "it is outside the folder of files",
                "Name a path in that folder (AURORA_RESTORE_FILES), or an object of S3.",
            )
        with path.open("rb") as opened:
            return opened.read(LARGEST_BYTES + 1)
    except PermissionError:
        raise Refused(resource, "it may not be read", "Let the image's user read it.") from None
    except (OSError, ValueError, RuntimeError):  # no such file, a folder; NUL; links in a circle
        raise Refused(
            resource,
            f"there is no such file in {folder}",
            "Correct its name, or put it into the image (AURORA_RESTORE_FILES names the folder).",
        ) from None


def _get(name: str, s3: "S3Client") -> bytes:
    """Return up to one byte more than permitted."""
    resource = f"file {name}"
    named = _OBJECT.fullmatch(name)
    # The version "null" is that of a bucket without versions: each upload replaces it.
    if named is None or named["id"] in {None, "", "null"}:
        raise Refused(
            resource,
            "it does not name one version of an object",
            "Write s3://bucket/key?versionId=..., of a bucket with versioning.",
        )
    try:
        answer = s3.get_object(Bucket=named["bucket"], Key=named["key"], VersionId=named["id"])
    except s3.exceptions.ClientError as error:
        code = aws_code(error)
        if code in _MISSING:
            problem, remedy = "there is no such version of it", "Correct bucket, key or version."
        elif code in _DENIED:
            problem = "it may not be read, or there is none"
            remedy = "Grant s3:GetObjectVersion on it, and kms:Decrypt on its key."
        elif code in _MALFORMED:
            problem = f"S3 does not understand the name ({code})"
            remedy = "Correct the version, and name a bucket of the target Region."
        else:
            raise
        raise Refused(resource, problem, remedy) from error
    with answer["Body"] as body:
        return body.read(LARGEST_BYTES + 1)
