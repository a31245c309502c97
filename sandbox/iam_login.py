"""Logins with an IAM token instead of a password: who must use one, and whether it is good.

Source: Aurora user guide, "IAM database authentication"; AWS General Reference, "Signature
Version 4" (a presigned URL); PostgreSQL, Message Flow and Message Formats.
"""

import asyncio
import hashlib
import hmac
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

LONGEST_STARTUP = 10_000  # bytes, PostgreSQL's own limit
LONGEST_TOKEN = 65_535  # likewise
TOKEN_SECONDS = 900
CLOCK_SKEW_SECONDS = 300
PROTOCOL_MAJOR = 3
LENGTH = struct.Struct("!I")
ASK_FOR_CLEARTEXT = b"R" + struct.pack("!II", 8, 3)
EMPTY = hashlib.sha256(b"").hexdigest()

# Access key and session token ("" without one) -> the secret key, or None if AWS knows them not.
Keys = Callable[[str, str], str | None]


def nobody(_key: str, _token: str) -> str | None:
    """The keys of no one: every token is refused."""
    return None


async def read_startup(reader: asyncio.StreamReader) -> bytes:
    """Return a client's first packet, whole."""
    head = await reader.readexactly(LENGTH.size)
    [length] = LENGTH.unpack(head)
    if not LENGTH.size < length <= LONGEST_STARTUP:
        raise ConnectionAbortedError
    return head + await reader.readexactly(length - LENGTH.size)


def user_of(startup: bytes) -> str | None:
    """Return who wants to log in; None in a packet that is no login (a request to cancel)."""
    [version] = LENGTH.unpack(startup[4:8])
    if version >> 16 != PROTOCOL_MAJOR:
        return None
    words = [word.decode(errors="replace") for word in startup[8:].split(b"\0")]
    return dict(zip(words[::2], words[1::2], strict=False)).get("user")


async def ask_for_token(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Ask the client for its password in clear text and return it."""
    writer.write(ASK_FOR_CLEARTEXT)
    await writer.drain()
    kind = await reader.readexactly(1)
    [length] = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if kind != b"p" or not LENGTH.size < length <= LONGEST_TOKEN:
        raise ConnectionAbortedError
    return (await reader.readexactly(length - LENGTH.size)).rstrip(b"\0").decode(errors="replace")


def is_good(token: str, address: str, user: str, keys: Keys) -> bool:
    """Tell whether a token is for this `host:port` and user, signed by a known key, and in time.

    Whether an identity policy permits `rds-db:connect` is not asked.
    """
    host, _, query = token.partition("/?")
    told = dict(parse_qsl(query, keep_blank_values=True))
    signature = told.pop("X-Amz-Signature", "")
    scope = told.get("X-Amz-Credential", "").split("/")
    if (
        host.lower() != address.lower()
        or told.get("Action") != "connect"
        or told.get("DBUser") != user
        or told.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256"
        or told.get("X-Amz-SignedHeaders") != "host"
        or len(scope) != 5  # noqa: PLR2004  key, date, Region, service, terminator
        or scope[3:] != ["rds-db", "aws4_request"]
        or not _is_fresh(told)
    ):
        return False
    secret = keys(scope[0], told.get("X-Amz-Security-Token", ""))
    if secret is None:
        return False
    return hmac.compare_digest(_sign(secret, scope[1:], host, told), signature)


def _is_fresh(told: dict[str, str]) -> bool:
    try:
        signed = datetime.strptime(told.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lasts = min(int(told.get("X-Amz-Expires", "")), TOKEN_SECONDS)
    except ValueError:
        return False
    return -CLOCK_SKEW_SECONDS <= time.time() - signed.timestamp() < lasts


def _sign(secret: str, scope: list[str], host: str, told: dict[str, str]) -> str:
    """Return the signature of the presigned GET that the token is."""
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(text, safe='-_.~')}"
        for name, text in sorted(told.items())
    )
    request = "\n".join(["GET", "/", query, f"host:{host}\n", "host", EMPTY])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", told["X-Amz-Date"], "/".join(scope), digest])
    key = f"AWS4{secret}".encode()
    for part in (*scope, text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
