"""Files that a request names: from a folder and from S3, as they are or not at all."""

import hashlib
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from aurora_restore.errors import Refused
from aurora_restore.files import TextFile, read
from aurora_restore.sessions import target_client
from sandbox import Sandbox
from sandbox.faults import Fault

MOST = 1 << 20
NO_S3: Any = None


def refusal(name: str, folder: Path, s3: Any = NO_S3) -> str:
    with pytest.raises(Refused) as refused:
        read(name, folder, s3)
    text = str(refused.value)
    assert text.startswith(f"file {name}: ")
    assert "\n" not in text
    return text.removeprefix(f"file {name}: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the image, with one file in it and one beside it."""
    inside = tmp_path / "files"
    (inside / "mask").mkdir(parents=True)
    (inside / "mask" / "names.sql").write_bytes("SELECT 'ä';\r\n".encode())
    (tmp_path / "beside.sql").write_text("SELECT 1")
    return inside


def test_file_of_the_folder_is_read_as_it_is(folder: Path) -> None:
    """
    Name, text with its line ends, and the hash of the bytes.
    """
    found = read("mask/names.sql", folder, NO_S3)

    content = "SELECT 'ä';\r\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert found == TextFile("mask/names.sql", content, digest)
    assert "SELECT" not in repr(found)


def test_byte_order_mark_is_not_text(folder: Path) -> None:
    """
    What some editors write first is left out of the text, not out of the hash.
    """
    content = b"\xef\xbb\xbfSELECT 1"
    (folder / "marked.sql").write_bytes(content)

    found = read("marked.sql", folder, NO_S3)

    assert (found.text, found.sha256) == ("SELECT 1", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("how", ["up", "absolute", "link"])
def test_path_that_leaves_the_folder_is_refused(folder: Path, how: str) -> None:
    """
    Neither dots nor an absolute path nor a link leads out of the folder.
    """
    (folder / "link.sql").symlink_to(folder.parent / "beside.sql")
    names = {
        "up": "mask/../../beside.sql",
        "absolute": str(folder.parent / "beside.sql"),
        "link": "link.sql",
    }

    assert refusal(names[how], folder) == (
        "it is outside the folder of files. "
        "Name a path in that folder (AURORA_RESTORE_FILES), or an object of S3."
    )


@pytest.mark.parametrize("name", ["none.sql", "mask", "mask/names.sql/x", "", "a\0b", "x" * 300])
def test_missing_file_is_refused(folder: Path, name: str) -> None:
    """
    What is no file there is told with the folder in which it was looked for.
    """
    with pytest.raises(Refused, match=r"there is no such file in .*files\. Correct its name"):
        read(name, folder, NO_S3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_refused(folder: Path) -> None:
    """
    Permissions are told as such.
    """
    (folder / "mask" / "names.sql").chmod(0)

    assert refusal("mask/names.sql", folder) == (
        "it may not be read. Let the image's user read it."
    )


def test_large_file_is_refused(folder: Path) -> None:
    """
    1 MiB is read, one byte more is not.
    """
    (folder / "most.sql").write_bytes(b"x" * MOST)
    (folder / "more.sql").write_bytes(b"x" * (MOST + 1))

    assert len(read("most.sql", folder, NO_S3).text) == MOST
    assert refusal("more.sql", folder) == "it is larger than 1 MiB. Split it."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"one\ntwo\nth\xe4ree\n\xff", "line 3 is not UTF-8. Save it in that encoding."),
        (b"\xff", "line 1 is not UTF-8. Save it in that encoding."),
        (b"one\ntw\0o", "line 2 holds a NUL character. Remove it."),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(
    folder: Path, content: bytes, problem: str
) -> None:
    """
    The first byte that is not UTF-8, or NUL, is told by its line.
    """
    (folder / "bad.sql").write_bytes(content)

    assert refusal("bad.sql", folder) == problem


@pytest.fixture
def bucket(account: Sandbox) -> str:
    """A bucket with versioning."""
    name = f"files-{uuid4()}"
    client = account.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def s3(account: Sandbox) -> Any:
    """The product's client."""
    return target_client("s3", "us-west-2")


def put(account: Sandbox, bucket: str, key: str, content: bytes) -> str:
    answer = account.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    return str(answer["VersionId"])


def test_the_version_that_is_named_is_read(
    account: Sandbox, bucket: str, s3: Any, folder: Path
) -> None:
    """
    A later upload under the same key changes nothing; the key may hold any character.
    """
    key = "mask/a b?c+ä%20.sql"
    version = put(account, bucket, key, b"SELECT 1")
    put(account, bucket, key, b"SELECT 2")

    found = read(f"s3://{bucket}/{key}?versionId={version}", folder, s3)

    assert found.text == "SELECT 1"
    assert found.sha256 == hashlib.sha256(b"SELECT 1").hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "s3://b-1/k.sql",
        "s3://b-1/k.sql?versionId=",
        "s3://b-1/k?versionId=null",
        "s3:/b/k",
        "s3://b",
    ],
)
def test_object_without_a_version_is_refused(folder: Path, name: str) -> None:
    """
    Without a version the same request would run another text tomorrow.
    """
    assert refusal(name, folder) == (
        "it does not name one version of an object. "
        "Write s3://bucket/key?versionId=..., of a bucket with versioning."
    )


def test_missing_object_is_refused(account: Sandbox, bucket: str, s3: Any, folder: Path) -> None:
    """
    Another bucket, key or version than there is.
    """
    version = put(account, bucket, "k.sql", b"SELECT 1")
    told = "there is no such version of it. Correct bucket, key or version."

    assert refusal(f"s3://{bucket}-x/k.sql?versionId={version}", folder, s3) == told
    assert refusal(f"s3://{bucket}/none.sql?versionId={version}", folder, s3) == told
    assert refusal(f"s3://{bucket}/k.sql?versionId={uuid4()}", folder, s3) == told


def test_object_that_may_not_be_read_tells_the_permission(
    account: Sandbox, s3: Any, folder: Path
) -> None:
    """
    S3 says the same of what is denied and of what is missing to whom may not list.
    """
    account.plant(Fault("s3", code="AccessDenied", message="no", status=403))

    assert refusal("s3://b-1/k.sql?versionId=1", folder, s3) == (
        "it may not be read, or there is none. "
        "Grant s3:GetObjectVersion on it, and kms:Decrypt on its key."
    )


def test_malformed_version_is_refused(account: Sandbox, s3: Any, folder: Path) -> None:
    """
    What S3 does not understand is told with its code.
    """
    account.plant(Fault("s3", code="InvalidArgument", message="Invalid version id specified"))

    assert refusal("s3://b-1/k.sql?versionId=1", folder, s3).startswith(
        "S3 does not understand the name (InvalidArgument). Correct the version"
    )


def test_other_faults_of_s3_pass_unchanged(account: Sandbox, s3: Any, folder: Path) -> None:
    """
    What is not named by these rules is AWS's own error.
    """
    account.plant(Fault("s3", code="InvalidObjectState", message="archived", status=409))

    with pytest.raises(ClientError, match="InvalidObjectState"):
        read("s3://b-1/k.sql?versionId=1", folder, s3)


def test_large_object_is_refused(account: Sandbox, bucket: str, s3: Any, folder: Path) -> None:
    """
    The same limits hold for S3; no more than needed is fetched.
    """
    version = put(account, bucket, "k.sql", b"x" * (MOST + 1))

    told = refusal(f"s3://{bucket}/k.sql?versionId={version}", folder, s3)

    assert told == "it is larger than 1 MiB. Split it."
