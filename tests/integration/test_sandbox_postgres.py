"""The sandbox's PostgreSQL: real servers, reached as Aurora's are, gone when the sandbox is."""

import hashlib
import io
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp

import psycopg2
import pytest

from sandbox.certificates import Authority
from sandbox.installation import Installation, find_package, get_identity
from sandbox.postgres import PostgresHost
from sandbox.tls import TlsPort

WRITER = "production.cluster-c1.us-east-1.rds.amazonaws.com"
READER = "production.cluster-ro-c1.us-east-1.rds.amazonaws.com"
STAGING = "staging.cluster-c2.us-west-2.rds.amazonaws.com"
PASSWORD, STAGING_PASSWORD = "of-the-source-Ä", "of-the-target"

UNKNOWN = "SSL SYSCALL error: (EOF detected|Connection reset by peer)"  # during the handshake
STOPPED = "closed the connection|closed unexpectedly|reset by peer"  # after it

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Iterator[PostgresHost]:
    """Two running clusters: production with one row `source`, staging with one row `target`."""
    with closing(PostgresHost(tmp_path_factory.mktemp("postgres"))) as host:
        for key, password, row in (
            ("production", PASSWORD, "source"),
            ("staging", STAGING_PASSWORD, "target"),
        ):
            host.create(key, master_username="postgres", master_password=password, database="app")
            host.start(key)
            host.run_sql(key, f"CREATE ROLE reader_of_{row} LOGIN")
            rows = f"CREATE TABLE origin AS SELECT text '{row}' AS name"
            host.run_sql(key, rows, "app", user="postgres")
        yield host


@pytest.fixture(autouse=True)
def _routes(host):
    host.route("production", [WRITER, READER])
    host.route("staging", [STAGING])


def login(host, name=WRITER, password=PASSWORD, **options):
    """Return a connection to an endpoint, as the product opens it."""
    way = {"host": name, "hostaddr": host.address, "port": host.port, "sslmode": "verify-full"}
    who = {"user": "postgres", "password": password, "dbname": "app"}
    options = {"sslrootcert": str(host.ca_file), "connect_timeout": 10} | options
    return psycopg2.connect(**way | who | options)


def query(host, sql, *where, **options):
    with closing(login(host, *where, **options)) as opened, opened.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def origin(host, *where):
    return query(host, "SELECT name FROM origin", *where)[0][0]


def processes_below(*folders: Path) -> list[int]:
    """Return the processes that work in one of `folders`; every process of PostgreSQL does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = str((process / "cwd").readlink()).removesuffix(" (deleted)")
        except OSError:
            continue
        if any(Path(place).is_relative_to(folder) for folder in folders):
            found.append(int(process.name))
    return found


def contents(folder: Path) -> dict[Path, bytes]:
    """Return all files below `folder`; what is being removed meanwhile may be missing."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found[Path(above, name)] = Path(above, name).read_bytes()
    return found


def command_lines() -> bytes:
    """Return the arguments of all processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cmdline").read_bytes())
    return b"\n".join(found)


def shared_memory() -> set[str]:
    """Return the System V segments of this machine."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {line.split()[1] for line in lines}


def until(condition, seconds=10.0):
    """Return once the condition holds; False if it does not within so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# What a client meets at the endpoint


def test_an_endpoint_verifies_in_full_and_authenticates_by_scram(host, monkeypatch):
    """
    A client that insists on verify-full and SCRAM gets in by the endpoint's name.
    """
    monkeypatch.setenv("PGHOSTADDR", host.address)
    monkeypatch.setenv("PGSSLROOTCERT", str(host.ca_file))
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGREQUIREAUTH", "scram-sha-256")

    opened = psycopg2.connect(
        host=WRITER, port=host.port, user="postgres", password=PASSWORD, dbname="app"
    )

    with closing(opened):
        assert opened.info.ssl_in_use
        assert opened.info.ssl_attribute("protocol") == "TLSv1.3"
        assert opened.info.parameter_status("server_version") == host.version("16")
    assert host.run_sql("production", "SELECT 1") == [(1,)]  # nor do they lead the sandbox astray


def test_the_reader_endpoint_leads_to_the_same_server(host):
    """
    All names given for one cluster are good for it.
    """
    assert origin(host, WRITER) == origin(host, READER) == "source"


def test_a_certificate_names_exactly_the_endpoints_of_its_cluster(host):
    """
    No certificate is good for another cluster, or for an address.
    """
    context = ssl.create_default_context(cafile=str(host.ca_file))
    with socket.create_connection((host.address, host.port)) as plain:
        plain.sendall(struct.pack("!II", 8, 80877103))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=WRITER.upper()) as connection:
            certificate = connection.getpeercert()

    assert certificate["subjectAltName"] == (("DNS", WRITER), ("DNS", READER))


@pytest.mark.parametrize("name", ["unknown.cluster-c1.us-east-1.rds.amazonaws.com", "127.0.0.1"])
def test_a_name_that_is_no_endpoint_is_refused(host, name):
    """
    A name that leads nowhere ends the handshake, and so does a client that gives none.
    """
    with pytest.raises(psycopg2.OperationalError, match=UNKNOWN):
        login(host, name)


def test_another_authority_is_refused(host, tmp_path):
    """
    Only this sandbox's CA verifies its endpoints.
    """
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)

    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        login(host, sslrootcert=str(other))


def test_plaintext_is_refused_in_the_words_of_postgresql(host):
    """
    Without TLS the answer is that of a server with rds.force_ssl.
    """
    words = (
        'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "postgres", '
        'database "app", no encryption\n'
    )

    with pytest.raises(psycopg2.OperationalError) as refused:
        login(host, sslmode="disable")

    assert str(refused.value).endswith(words)


def test_a_wrong_password_is_refused(host):
    """
    TLS alone lets nobody in.
    """
    refusal = 'password authentication failed for user "postgres"'
    with pytest.raises(psycopg2.OperationalError, match=refusal):
        login(host, password=STAGING_PASSWORD)


def test_gss_encryption_is_declined_and_tls_offered_next(host):
    """
    A client with a Kerberos ticket asks for GSS first, then goes on with TLS.
    """
    with socket.create_connection((host.address, host.port)) as plain:
        plain.sendall(struct.pack("!II", 8, 80877104))
        assert plain.recv(1) == b"N"
        plain.sendall(struct.pack("!II", 8, 80877103))
        assert plain.recv(1) == b"S"


@pytest.mark.parametrize(
    "words",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01", struct.pack("!II", 16, 80877102) + b"x" * 8, b"short"],
)
def test_what_is_no_startup_is_hung_up_on(host, words):
    """
    A direct TLS handshake, a plaintext cancel request and noise get no answer.
    """
    with socket.create_connection((host.address, host.port), timeout=5) as plain:
        plain.sendall(words)
        plain.shutdown(socket.SHUT_WR)
        try:
            answer = plain.recv(100)
        except ConnectionResetError:
            answer = b""

    assert answer == b""


def test_clusters_share_a_port_and_are_told_apart_by_name(host):
    """
    Each name leads to its own server, with that server's rows and password.
    """
    assert origin(host, WRITER, PASSWORD) == "source"
    assert origin(host, STAGING, STAGING_PASSWORD) == "target"


def test_much_data_passes_unchanged_both_ways(host):
    """
    The TLS port neither loses nor reorders bytes, however many.
    """
    text = "".join(f"{number}\t{'x' * 500}\n" for number in range(40_000))
    with closing(login(host)) as opened, opened.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE much (id int, filler text)")
        cursor.copy_expert("COPY much FROM STDIN", io.StringIO(text))
        back = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM much ORDER BY id) TO STDOUT", back)

    sent, received = (hashlib.sha256(t.encode()).digest() for t in (text, back.getvalue()))
    assert received == sent


# Aurora's roles


def test_the_master_user_is_no_superuser(host):
    """
    The master user has what Aurora's has, and owns its databases.
    """
    facts = query(
        host,
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
        " pg_has_role(rolname, 'rds_superuser', 'usage'), pg_has_role(rolname, 'rds_iam', 'usage')"
        " FROM pg_roles WHERE rolname = current_user",
    )
    owned = query(host, "SELECT datname FROM pg_database WHERE datdba = 'postgres'::regrole")

    assert facts == [(False, True, True, False, False, True, False)]
    assert {name for (name,) in owned} == {"app", "postgres", "template1"}


def test_the_roles_of_aurora_exist(host):
    """
    The roles that Aurora brings along are there; only rdsadmin is a superuser.
    """
    roles = query(
        host, "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'rds%'"
    )

    assert sorted(roles) == [
        ("rds_ad", False, False),
        ("rds_iam", False, False),
        ("rds_password", False, False),
        ("rds_replication", False, False),
        ("rds_superuser", False, False),
        ("rdsadmin", True, True),
        ("rdsrepladmin", False, False),
    ]


def test_the_master_user_may_hand_on_what_aurora_lets_it(host):
    """
    rds_superuser, rds_password and rds_replication can be granted by the master user.
    """
    with closing(login(host)) as opened, opened.cursor() as cursor:
        cursor.execute("CREATE ROLE colleague")
        cursor.execute("GRANT rds_superuser, rds_password, rds_replication TO colleague")
        opened.rollback()


@pytest.mark.parametrize("who", [{"user": "rdsadmin"}, {"dbname": "rdsadmin"}])
def test_what_is_rdsadmins_is_closed_to_clients(host, who):
    """
    Neither the role nor the database rdsadmin can be used from outside.
    """
    with pytest.raises(psycopg2.OperationalError, match=r"pg_hba\.conf rejects connection"):
        login(host, **who)


@pytest.mark.parametrize("major", ["16", "18"])
def test_both_versions_start_again(host, major):
    """
    PostgreSQL 16 and 18 serve, and say the version that the host reports.
    """
    host.create(major, master_username="boss", master_password="b", database=None, major=major)
    host.start(major)
    host.stop(major)
    host.start(major)

    assert host.version(major).startswith(f"{major}.")
    assert host.run_sql(major, "SHOW server_version") == [(host.version(major),)]
    host.drop(major)


# Names, starting, stopping


def test_a_rename_moves_the_name_to_the_other_server(host):
    """
    After a swap of names each leads to its new server, and the left one nowhere.
    """
    host.route("staging", ["staging-old.cluster-c2.us-west-2.rds.amazonaws.com"])
    host.route("production", [STAGING])

    assert origin(host, STAGING, PASSWORD) == "source"
    assert (
        origin(host, "staging-old.cluster-c2.us-west-2.rds.amazonaws.com", STAGING_PASSWORD)
        == "target"
    )
    with pytest.raises(psycopg2.OperationalError, match=UNKNOWN):
        login(host, WRITER)


def test_a_name_taken_over_stays_with_its_new_server(host):
    """
    What the former owner of a name does later does not take it back.
    """
    host.route("production", [STAGING])
    host.route("staging", [])

    assert origin(host, STAGING, PASSWORD) == "source"


def test_a_stopped_server_refuses_until_it_is_started(host):
    """
    Stopping ends the sessions and refuses new ones; starting serves the same data. Both repeat.
    """
    host.create("paused", master_username="postgres", master_password="p", database="app")
    host.route("paused", ["paused"])
    host.start("paused")
    host.start("paused")
    with closing(login(host, "paused", "p")) as session, session.cursor() as cursor:
        host.stop("paused")
        host.stop("paused")
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match=STOPPED):
        login(host, "paused", "p")
    with pytest.raises(RuntimeError, match="is stopped"):
        host.run_sql("paused", "SELECT 1")

    host.start("paused")

    assert query(host, "SELECT 1", "paused", "p") == [(1,)]
    host.drop("paused")
    with pytest.raises(psycopg2.OperationalError, match=UNKNOWN):
        login(host, "paused", "p")


def test_a_crashed_server_can_be_started_again(host):
    """
    A server whose process was killed serves its data again after start.
    """
    host.create("crashed", master_username="postgres", master_password="p", database="app")
    host.route("crashed", ["crashed"])
    host.start("crashed")
    host.run_sql("crashed", "CREATE TABLE kept ()", "app", user="postgres")
    [[folder]] = host.run_sql("crashed", "SHOW data_directory")
    process = int((Path(folder) / "postmaster.pid").read_text().split()[0])

    os.kill(process, signal.SIGKILL)
    until(lambda: not processes_below(Path(folder)))
    host.start("crashed")

    assert query(host, "SELECT count(*) FROM kept", "crashed", "p") == [(0,)]
    host.drop("crashed")


def test_a_server_that_cannot_start_says_why(host):
    """
    The error of a failed start holds the server's own words.
    """
    host.create("broken", master_username="postgres", master_password="p", database=None)
    (host.logs.parent / "data").joinpath(host.log_file("broken").stem, "PG_VERSION").unlink()

    with pytest.raises(RuntimeError, match="not a valid data directory"):
        host.start("broken")
    host.drop("broken")


# Passwords


def test_a_new_password_replaces_the_old_one_at_once(host):
    """
    After set_password the old password fails and the new one works.
    """
    host.snapshot("production", "for password")
    host.restore("for password", "changed")
    host.route("changed", ["changed"])
    host.start("changed")
    assert origin(host, "changed", PASSWORD) == "source"

    host.set_password("changed", "postgres", "new 'one' %s \\ ü")

    assert origin(host, "changed", "new 'one' %s \\ ü") == "source"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        login(host, "changed", PASSWORD)
    host.drop("changed")
    host.drop_snapshot("for password")


def test_a_stopped_server_gets_its_new_password_when_it_starts(host):
    """
    set_password before start is good for the first login, also through a snapshot.
    """
    host.create("early", master_username="postgres", master_password="first", database="app")
    host.set_password("early", "postgres", "second")
    host.snapshot("early", "never started")
    host.restore("never started", "late")
    for key in ("early", "late"):
        host.route(key, [key])
        host.start(key)

        assert query(host, "SELECT 1", key, "second") == [(1,)]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            login(host, key, "first")
        host.drop(key)
    host.drop_snapshot("never started")


def test_a_refused_password_change_does_not_come_back(host):
    """
    A role that does not exist is an error once, not at every later change.
    """
    with pytest.raises(psycopg2.errors.UndefinedObject):
        host.set_password("staging", "nobody_here", "x")

    host.set_password("staging", "postgres", STAGING_PASSWORD)

    assert origin(host, STAGING, STAGING_PASSWORD) == "target"


@linux
def test_no_password_is_in_a_log_a_file_or_a_process_list(host):
    """
    The servers log what clients send; the sandbox itself sends no password there.
    """
    secret, other = "s3cret-master-of-logs", "s3cret-second-of-logs"
    host.create("logged", master_username="postgres", master_password=secret, database="app")
    host.route("logged", ["logged"])
    host.start("logged")
    host.set_password("logged", "postgres", other)
    with pytest.raises(psycopg2.OperationalError):
        login(host, "logged", secret)
    with closing(login(host, "logged", other)) as opened, opened.cursor() as cursor:
        cursor.execute("CREATE ROLE careless PASSWORD 'sent-in-plain'")
        opened.commit()
    host.snapshot("logged", "logged")

    texts = list(contents(host.logs.parent).values())
    texts.append(command_lines())

    assert b"sent-in-plain" in host.log_file("logged").read_bytes()  # so the log would tell
    assert not any(word.encode() in text for text in texts for word in (secret, other))
    assert b"SCRAM-SHA-256$" not in host.log_file("logged").read_bytes()

    host.run_sql("logged", "ALTER SYSTEM SET log_min_duration_statement = 0")
    host.run_sql("logged", "SELECT pg_reload_conf()")
    host.set_password("logged", "postgres", secret)

    assert until(lambda: b"'SCRAM-SHA-256$" in host.log_file("logged").read_bytes())
    assert secret.encode() not in host.log_file("logged").read_bytes()
    host.drop("logged")
    host.drop_snapshot("logged")


def test_no_private_key_is_on_the_disk(host):
    """
    Neither the CA's key nor a certificate's stays in a file.
    """
    files = contents(host.ca_file.parent) | contents(host.logs.parent)

    assert host.ca_file in files
    assert not [path for path, text in files.items() if b"PRIVATE KEY" in text]


# Snapshots


def test_a_snapshot_while_writing_is_of_one_moment(host):
    """
    Writers go on during a snapshot, and what is restored holds only whole transactions.
    """
    host.run_sql(
        "production", "CREATE TABLE account AS SELECT g id, 0 x FROM generate_series(0, 1) g"
    )
    stop, moved, problems = threading.Event(), [], []

    def write():
        with closing(login(host, dbname="postgres")) as opened, opened.cursor() as cursor:
            try:
                while not stop.is_set():
                    cursor.execute("UPDATE account SET x = x + 1 WHERE id = 0")
                    cursor.execute("UPDATE account SET x = x - 1 WHERE id = 1")
                    opened.commit()
                    moved.append(1)
            except psycopg2.Error as problem:
                problems.append(problem)

    host.run_sql("production", "GRANT ALL ON account TO postgres")
    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(moved) > 10)
    before = len(moved)
    host.snapshot("production", "while writing")
    after = len(moved)
    until(lambda: len(moved) > after + 10)
    stop.set()
    writer.join()
    host.restore("while writing", "consistent")
    host.start("consistent")

    [(total, copied)] = host.run_sql("consistent", "SELECT sum(x), max(x) FROM account")
    assert problems == []
    assert total == 0
    assert before <= copied <= after + 1
    assert after > before  # writing went on meanwhile
    host.run_sql("production", "DROP TABLE account")
    host.drop("consistent")
    host.drop_snapshot("while writing")


def test_a_restored_server_is_the_source_and_not_the_target(host):
    """
    It serves the source's rows, roles and password, under the target's names.
    """
    host.snapshot("production", "daily")
    host.copy_snapshot("daily", "copied")
    host.drop_snapshot("daily")
    host.restore("copied", "restored")
    host.drop_snapshot("copied")
    host.route("restored", [STAGING])
    host.start("restored")

    roles = query(host, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'reader%'", STAGING)

    assert origin(host, STAGING, PASSWORD) == "source"
    assert roles == [("reader_of_source",)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        login(host, STAGING, STAGING_PASSWORD)
    host.drop("restored")


def test_copies_do_not_share_what_is_written_later(host):
    """
    A restored server, its snapshot and its source go separate ways, stopped ones too.
    """
    host.snapshot("production", "base")
    host.restore("base", "first")
    host.start("first")
    host.run_sql("first", "UPDATE origin SET name = 'first'", "app")
    host.stop("first")
    host.snapshot("first", "of the stopped")
    host.restore("of the stopped", "second")
    host.restore("base", "third")
    with ThreadPoolExecutor() as pool:
        list(pool.map(host.start, ("first", "second", "third")))

    found = {
        key: host.run_sql(key, "SELECT name FROM origin", "app")[0][0]
        for key in ("production", "first", "second", "third")
    }

    assert found == dict.fromkeys(("first", "second"), "first") | dict.fromkeys(
        ("production", "third"), "source"
    )
    for key in ("first", "second", "third"):
        [[folder]] = host.run_sql(key, "SHOW data_directory")
        assert {path.stat().st_nlink for path in Path(folder).rglob("*") if path.is_file()} == {1}
        host.drop(key)
    for key in ("base", "of the stopped"):
        host.drop_snapshot(key)


def test_a_key_is_used_once(host):
    """
    Neither a server nor a snapshot is silently replaced.
    """
    host.snapshot("staging", "taken")

    with pytest.raises(ValueError, match="'staging' exists already"):
        host.restore("taken", "staging")
    with pytest.raises(ValueError, match="'taken' exists already"):
        host.snapshot("production", "taken")
    host.drop_snapshot("taken")


# Nothing is left behind


def test_a_taken_port_is_an_error_only_if_it_was_asked_for(host, tmp_path):
    """
    Without a wish a free port is found; a wish is not silently changed.
    """
    with pytest.raises(OSError, match="in use"):
        TlsPort(tmp_path, host.port)
    with closing(TlsPort(tmp_path)) as another:
        assert another.port not in (0, host.port)


@linux
def test_close_leaves_no_process_and_no_folder(tmp_path):
    """
    All servers end with close, crashed and stuck ones too; nothing of them remains.
    """
    host = PostgresHost(tmp_path / "root")
    home = host.logs.parent
    for key in ("running", "crashed", "stuck"):
        host.create(key, master_username="postgres", master_password="p", database=None)
    segments = set()
    for key, number in (("running", 0), ("crashed", signal.SIGKILL), ("stuck", signal.SIGSTOP)):
        host.start(key)
        [[folder]] = host.run_sql(key, "SHOW data_directory")
        note = (Path(folder) / "postmaster.pid").read_text().split("\n")
        segments.add(note[6].split()[1])
        os.kill(int(note[0]), number)
    assert segments <= shared_memory()
    host.route("running", ["running"])
    half_way = socket.create_connection((host.address, host.port))
    half_way.sendall(struct.pack("!II", 8, 80877103))
    with closing(login(host, "running", "p", dbname="postgres")), closing(half_way):
        assert processes_below(home)

        host.close()
        host.close()

    assert until(lambda: not processes_below(home), 2)
    assert not segments & shared_memory()
    assert not home.exists()
    assert not (tmp_path / "root").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host.address, host.port))
    with pytest.raises(RuntimeError, match="are closed"):
        host.start("running")


OWNER = """
import sys, time
from pathlib import Path
from sandbox.postgres import PostgresHost
host = PostgresHost(Path(sys.argv[1]))
host.create("one", master_username="postgres", master_password="p", database=None)
host.start("one")
print(host.logs.parent, host._engine.keeper._process.pid, flush=True)
time.sleep(60)
"""


@linux
@pytest.mark.parametrize("victim", ["owner", "owner's process group", "keeper"])
def test_no_server_outlives_a_kill(victim):
    """
    SIGKILL of the sandbox ends its servers and removes its folders; so does one of their keeper.
    """
    root = Path(mkdtemp(dir="/tmp"))
    owner = subprocess.Popen(  # noqa: S603  ours
        [sys.executable, "-c", OWNER, root],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    home, keeper = owner.stdout.readline().split()
    assert Path(home) == root  # below /tmp the root itself serves
    assert processes_below(root)

    match victim:
        case "owner":
            owner.kill()
        case "owner's process group":
            os.killpg(owner.pid, signal.SIGKILL)
        case "keeper":
            os.kill(int(keeper), signal.SIGKILL)

    assert until(lambda: not processes_below(root))
    if victim != "keeper":
        assert until(lambda: not root.exists())
    owner.kill()
    owner.communicate()
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_binaries_that_the_servers_user_cannot_read_are_copied(tmp_path):
    """
    An installation below a closed folder, such as a home, is used through a copy.
    """
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = find_package()
    for folder in (f"{package.name}/pginstall", f"{package.name}.libs"):
        shutil.copytree(package.parent / folder, closed / folder, symlinks=True)
    home = Path(mkdtemp(dir="/tmp"))
    home.chmod(0o711)

    installation = Installation(closed / package.name, home, get_identity())

    [(major, programs)] = installation.versions.items()
    assert programs.is_relative_to(home)
    for program in ("postgres", "pg_basebackup"):
        assert f"(PostgreSQL) {major}." in installation.run(programs / program, "--version")
    shutil.rmtree(home)
