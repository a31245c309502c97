"""Ten thousand privileges given to a thousand roles: as the product does it, and one by one."""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from aurora_restore.access.apply import apply
from aurora_restore.access.declared import DatabaseRole, Declared, Privileges
from aurora_restore.access.difference import difference
from aurora_restore.access.reading import read
from aurora_restore.access.statements import Renderer
from sandbox.postgres import PostgresHost

DATABASE, MASTER, WORD = "app", "postgres", "of-the-master"
SCHEMAS, TABLES, ROLES = 250, 8, 4  # tables of each schema, roles that read each schema


def role(schema: int, number: int, *, reads: bool) -> DatabaseRole:
    """Return a role that may connect, and read one schema: ten privileges."""
    reading = Privileges(schemas=[f"s{schema}"], on_schemas=["USAGE"], on_tables=["SELECT"])
    return DatabaseRole(
        name=f"role_{schema}_{number}", privileges=[reading if reads else Privileges()]
    )


def declared(*, reads: bool) -> Declared:
    """Return all roles, with their privileges or without."""
    return Declared(
        DATABASE, [role(s, n, reads=reads) for s in range(SCHEMAS) for n in range(ROLES)]
    )


class Server:
    """A server with the tables, and how the product connects to it."""

    def __init__(self, host: PostgresHost, major: str) -> None:
        self._host = host
        host.create(
            "server", master_username=MASTER, master_password=WORD, database=DATABASE, major=major
        )
        host.start("server")
        [(port,)] = host.run_sql("server", "SHOW port")
        self.direct = self.port = int(port)
        for schema in range(SCHEMAS):
            tables = "; ".join(f"CREATE TABLE s{schema}.t{n} (id int)" for n in range(TABLES))
            host.run_sql("server", f"CREATE SCHEMA s{schema}; {tables}", DATABASE, MASTER)

    @contextmanager
    def connected(self, *, autocommit: bool = False) -> Iterator[connection]:
        """Connect as the master, past the sandbox's TLS port, which runs in this process."""
        with closing(
            psycopg2.connect(
                host=self._host.address,
                port=self.port,
                dbname=DATABASE,
                user=MASTER,
                password=WORD,
                sslmode="disable",
            )
        ) as opened:
            opened.autocommit = autocommit
            with opened:
                yield opened

    def apply(self, wanted: Declared) -> int:
        """Apply as the product does; return the number of changes."""
        with self.connected() as opened:
            return apply(opened, wanted, {}, open_logins=True).changes

    def one_by_one(self, wanted: Declared) -> int:
        """Make the same changes, one statement for each, each in a transaction of its own."""
        with self.connected() as opened:
            changes = difference(wanted, read(opened, wanted), open_logins=True)
            renderer = Renderer(opened.server_version, MASTER, {})
            statements = [
                each.as_string(opened) for change in changes for each in renderer.render([change])
            ]
        began = time.perf_counter()
        with self.connected(autocommit=True) as opened, opened.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        self.seconds = time.perf_counter() - began
        return len(statements)


@contextmanager
def distance(server: Server, milliseconds: float) -> Iterator[None]:
    """Let each message to the server take so long, as over a network; none: the machine's own."""
    if milliseconds == 0:
        yield
        return
    listening = socket.create_server(("127.0.0.1", 0))
    relay = multiprocessing.Process(
        target=_relay, args=(listening, server.direct, milliseconds / 1000), daemon=True
    )
    relay.start()
    server.port = listening.getsockname()[1]
    try:
        yield
    finally:
        server.port = server.direct
        relay.kill()
        relay.join()
        listening.close()


def _relay(listening: socket.socket, port: int, seconds: float) -> None:
    async def serve() -> None:
        async with await asyncio.start_server(_accept, sock=listening) as server:
            await server.serve_forever()

    async def _accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, to_server, seconds), _copy(from_server, writer, 0))

    asyncio.run(serve())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    while data := await reader.read(1 << 20):
        if seconds:
            await asyncio.sleep(seconds)
        writer.write(data)
    writer.close()


def timed(server: Server, wanted: Declared) -> tuple[float, int]:
    """Return the seconds an apply takes, its connection included, and the number of changes."""
    began = time.perf_counter()
    changes = server.apply(wanted)
    return time.perf_counter() - began, changes


def compare(server: Server, milliseconds: float, rounds: int) -> None:
    """Print each round at one distance, and the median ratios."""
    bare, full = declared(reads=False), declared(reads=True)
    faster, unchanged = list[float](), list[float]()
    for _ in range(rounds):
        count = server.one_by_one(full)
        naive = server.seconds
        server.apply(bare)
        ours, changes = timed(server, declared(reads=True))
        nothing, none = timed(server, declared(reads=True))
        if (changes, none) != (count, 0):
            raise RuntimeError(f"{count} one by one, then {changes}, then {none} changes")
        server.apply(bare)
        faster.append(naive / ours)
        unchanged.append(nothing / naive)
        print(
            f"{milliseconds:g} ms   {count} changes   one by one {naive:6.2f} s   apply {ours:5.2f}"
            f" s (x {faster[-1]:.1f})   nothing to do {nothing:5.2f} s ({unchanged[-1]:.3f})"
        )
    print(
        f"{milliseconds:g} ms   one by one / apply: median {_spread(faster, 1)}   "
        f"nothing to do / one by one: median {_spread(unchanged, 3)}"
    )


def _spread(several: list[float], digits: int) -> str:
    middle, low, high = (
        f"{each:.{digits}f}" for each in (statistics.median(several), min(several), max(several))
    )
    return f"{middle} (min {low}, max {high})"


def main() -> int:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privileges", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--major", default="16", choices=["16", "18"])
    parser.add_argument(
        "--distances", type=float, nargs="+", default=[0, 1], help="ms to the server, in turn"
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(PostgresHost(Path(folder) / "postgres")) as host,
    ):
        server = Server(host, options.major)
        print(
            f"PostgreSQL {host.version(options.major)}, {SCHEMAS * TABLES} tables, "
            f"{SCHEMAS * ROLES} roles"
        )
        server.apply(declared(reads=False))
        for milliseconds in options.distances:
            with distance(server, milliseconds):
                compare(server, milliseconds, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
