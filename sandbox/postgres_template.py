"""What every new server starts from: an initialised data folder with Aurora's roles."""

from pathlib import Path

from sandbox.postgres_server import ADDRESS, SUPERUSER, Data, Engine, PostgresServer

CONFIGURATION = f"""
listen_addresses = '{ADDRESS}'
max_connections = 50
shared_buffers = 16MB
dynamic_shared_memory_type = mmap   # leaves nothing in /dev/shm
fsync = off
max_wal_size = 256MB
autovacuum = off                    # what writes is a client, else nothing has changed
password_encryption = scram-sha-256
log_statement = ddl
log_line_prefix = '%t:%r:%u@%d:[%p]:'
log_timezone = UTC
timezone = UTC
"""
# Whoever has shown an IAM token comes in over the private socket (`sandbox.tls`).
# As on RDS, no client gets in as rdsadmin, nor into the database of that name.
ACCESS = f"""
local  all           {SUPERUSER}  trust
local  replication   {SUPERUSER}  trust
local  all           +rds_iam  trust
host   all           {SUPERUSER}  all  reject
host   {SUPERUSER}   all  all  reject
host   all           all  {ADDRESS}/32  scram-sha-256
"""
# Source: Aurora user guide, "Understanding the rds_superuser role": what \du lists, and that
# rds_superuser may hand on rds_replication, rds_password, rds_iam and pg_monitor.
ROLES = (
    "CREATE ROLE rds_superuser NOLOGIN",
    "CREATE ROLE rds_iam NOLOGIN",
    "CREATE ROLE rds_ad NOLOGIN",
    "CREATE ROLE rds_password NOLOGIN",
    "CREATE ROLE rds_replication NOLOGIN",
    "CREATE ROLE rdsrepladmin NOLOGIN NOINHERIT REPLICATION",
    "GRANT pg_signal_backend TO rds_superuser",
    "GRANT rds_replication, rds_password, pg_monitor TO rds_superuser WITH ADMIN OPTION",
    f"CREATE DATABASE {SUPERUSER}",
)
# May hand it on, but is no member: else the master user would log in by IAM only. Before 16 whoever
# may make roles may hand on any.
HAND_ON_IAM = "GRANT rds_iam TO rds_superuser WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
OPTIONS_PER_GRANT = 160000
INITDB = ("--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions", "--wal-segsize=1")


def make_template(engine: Engine, major: str, folder: Path, log: Path) -> Data:
    """Initialise `folder` and return it: a stopped server, without a master user yet."""
    try:
        engine.run(major, "initdb", "-U", SUPERUSER, "--locale=C.UTF-8", *INITDB, "-D", folder)
    except RuntimeError:  # a system without that locale
        engine.run(major, "initdb", "-U", SUPERUSER, "--locale=C", *INITDB, "-D", folder)
    with (folder / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION)
    (folder / "pg_hba.conf").write_text(ACCESS)
    server = PostgresServer(engine, Data(folder, major), log)
    server.start()
    with server.connect() as opened, opened.cursor() as cursor:
        for statement in ROLES:
            cursor.execute(statement)
        if opened.server_version >= OPTIONS_PER_GRANT:
            cursor.execute(HAND_ON_IAM)
    server.stop()
    return server.data
