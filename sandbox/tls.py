"""One TLS port for all PostgreSQL servers: the name in the handshake decides which one it is.

Source: PostgreSQL's documentation, "Message Flow", "Message Formats" (SSLRequest, ErrorResponse);
RDS, "Using SSL with a PostgreSQL DB instance" (rds.force_ssl=1 refuses plaintext).
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.certificates import Authority
from sandbox.iam_login import ask_for_token, read_startup, user_of
from sandbox.postgres_server import ADDRESS

POSTGRESQL_PORT = 5432
SSL_REQUEST, GSSENC_REQUEST = 80877103, 80877104
PROTOCOL_MAJOR = 3
HEADER = struct.Struct("!II")  # length of the whole message, then what it is
LONGEST_STARTUP = 10_000  # bytes, PostgreSQL's own limit
CHUNK = 1 << 16
HANDSHAKE_SECONDS = 10.0
FAREWELL_SECONDS = 5.0


class ServerContext(ssl.SSLContext):
    """The certificate of one server."""

    key: str


@dataclass(frozen=True)
class Door:
    """How those get in who log in with an IAM token. Both functions may take their time.

    `is_for(key, user)`: whether it is the user's only way. `lets_in(token, addresses, user)`:
    whether the token is good for one of the server's `host:port`. `sockets`: the folder of the
    servers' private sockets, where nobody is asked again.
    """

    is_for: Callable[[str, str], bool]
    lets_in: Callable[[str, Sequence[str], str], bool]
    sockets: Path


class TlsPort:
    """Listens on 127.0.0.1, ends TLS, and hands the connection on to the server it names."""

    def __init__(self, folder: Path, port: int | None = None, door: Door | None = None) -> None:
        """Listen on `port`; without one on 5432, or on any free port if that is taken."""
        self._folder = folder
        self._door = door
        self._authority = Authority()
        self.ca = self._authority.pem
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = self._choose
        self._names: dict[str, ServerContext] = {}
        self._backends: dict[str, int] = {}
        self._lock = threading.Lock()
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._open: set[asyncio.WriteTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="sandbox-tls", daemon=True)
        self._thread.start()

    def route(self, key: str, hostnames: Sequence[str]) -> None:
        """Let `hostnames` lead to the server `key`, and no other name any more."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.key = key
        names = [name.lower() for name in hostnames]
        if names:
            self._authority.certify(names, context, self._folder)
        with self._lock:
            others = {name: old for name, old in self._names.items() if old.key != key}
            self._names = others | dict.fromkeys(names, context)

    def connect(self, key: str, port: int | None) -> None:
        """Say on which port of this machine the server `key` listens; None: it is down."""
        with self._lock:
            self._backends.pop(key, None)
            if port is not None:
                self._backends[key] = port

    def close(self) -> None:
        """Stop listening and close all connections. Safe to repeat."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._begin, sock=self._listener)
        await self._closing.wait()
        server.close()
        for transport in self._open:
            transport.abort()  # then the runner cancels what is still being done

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio's reports it as an error when it is cancelled (Python 3.11).
        task = asyncio.create_task(self._accept(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = (OSError, asyncio.IncompleteReadError, TimeoutError)  # SSLError is an OSError
        plain = writer.transport  # stays the way to the socket when TLS is put on top
        self._open.add(plain)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                key = await self._start_tls(reader, writer)
                backend = self._backends.get(key or "")
                if key is None or backend is None:
                    return
                startup = await read_startup(reader)
                upstream = await self._enter(key, backend, startup, reader, writer)
            if upstream is None:
                return
            upstream[1].write(startup)
            await _exchange(reader, writer, *upstream)
        except ended:
            pass  # either side hung up, or they could not agree: nothing to answer
        finally:
            if not plain.is_closing():
                await _say_farewell(writer)
            plain.abort()
            self._open.discard(plain)

    async def _enter(
        self,
        key: str,
        backend: int,
        startup: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection to the server, or None if a token was refused."""
        door, user = self._door, user_of(startup)
        if door is None or not user or not await asyncio.to_thread(door.is_for, key, user):
            return await asyncio.open_connection(ADDRESS, backend)
        token = await ask_for_token(reader, writer)
        with self._lock:
            addresses = [f"{name}:{self.port}" for name, c in self._names.items() if c.key == key]
        if door.lets_in(token, addresses, user):
            return await asyncio.open_unix_connection(door.sockets / f".s.PGSQL.{backend}")
        # Source: public reports of what RDS says.
        writer.write(_fatal("28000", f'PAM authentication failed for user "{user}"'))
        await writer.drain()
        return None

    async def _start_tls(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str | None:
        """Return the key of the server that the client asks for, or None to hang up."""
        while True:
            length, code = HEADER.unpack(await reader.readexactly(HEADER.size))
            if code == SSL_REQUEST:
                break
            if code != GSSENC_REQUEST:
                if code >> 16 == PROTOCOL_MAJOR and HEADER.size < length <= LONGEST_STARTUP:
                    writer.write(_refusal(await reader.readexactly(length - HEADER.size)))
                    await writer.drain()
                return None
            writer.write(b"N")
        writer.write(b"S")
        await writer.start_tls(self._context)
        chosen = writer.get_extra_info("ssl_object").context
        return chosen.key if isinstance(chosen, ServerContext) else None

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Present the certificate of the named server; an unknown name ends the handshake."""
        context = self._names.get((name or "").lower())
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    """Copy bytes both ways until the server has said its last word."""
    upward = asyncio.create_task(_copy(reader, upstream_writer))
    try:
        await _copy(upstream_reader, writer)
    finally:
        upward.cancel()
        upstream_writer.close()


async def _say_farewell(writer: asyncio.StreamWriter) -> None:
    """Close when all has been sent, but do not wait long for a client that does not read on."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(FAREWELL_SECONDS):
            await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on (TLS cannot: its writer is closed afterwards)."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


def _refusal(startup: bytes) -> bytes:
    """Return PostgreSQL's ErrorResponse to a client that does not want TLS."""
    words = [word.decode(errors="replace") for word in startup.split(b"\0")]
    given = dict(zip(words[::2], words[1::2], strict=False))
    user = given.get("user", "")
    message = (
        f'no pg_hba.conf entry for host "{ADDRESS}", user "{user}", '
        f'database "{given.get("database", user)}", no encryption'
    )
    return _fatal("28000", message)


def _fatal(code: str, message: str) -> bytes:
    """Return an ErrorResponse that ends the session."""
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": message, "R": "ClientAuthentication"}
    body = b"".join(f"{field}{text}\0".encode() for field, text in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


def _listen(port: int | None) -> socket.socket:
    try:
        return socket.create_server((ADDRESS, POSTGRESQL_PORT if port is None else port))
    except OSError as problem:
        if port is not None or problem.errno != errno.EADDRINUSE:
            raise
    return socket.create_server((ADDRESS, 0))
