"""What the commands find in the shell they run in: settings, records, an operation by its name."""

import re

from aurora_restore.cli.exits import BadUsage
from aurora_restore.errors import NotFound, Refused
from aurora_restore.records import Operation, RecordStore
from aurora_restore.sessions import target_client
from aurora_restore.settings import Settings, settings
from aurora_restore.table import Table

LONGEST_KEY = 2048  # bytes of a partition key


def known_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        BadUsage: a variable is missing or malformed; names each.
    """
    try:
        return settings()
    except Refused as refused:
        variable = re.compile(r"(?:^|(?<=; ))([a-z_.]+)(?=:)")
        problem = variable.sub(
            lambda match: f"AURORA_RESTORE_{match[1].upper().replace('.', '__')}", refused.problem
        )
        remedy = "Set these environment variables as the deployment has them."
        raise BadUsage(refused.resource, problem, remedy) from None


def open_table(patience: float = 0.0) -> Table:
    """Return the table; a person does not wait out an outage unless asked to.

    Raises:
        BadUsage: the settings are not valid.
    """
    return Table(target_client("dynamodb"), known_settings().state_table, patience)


def open_records(patience: float = 0.0) -> RecordStore:
    """Return the records of that table, for reading.

    Raises:
        BadUsage: the settings are not valid.
    """
    known = known_settings()
    return RecordStore(open_table(patience), known.state_index, known.target_index)


def find_operation(records: RecordStore, operation_id: str) -> Operation:
    """Return an operation that has been begun, by one query.

    Raises:
        BadUsage: no operation can have that name.
        NotFound: there never was one.
        RecordsDamaged, RecordsUnavailable: it cannot be read.
    """
    size = len(operation_id.encode(errors="replace"))
    if not operation_id.isprintable() or not 0 < size <= LONGEST_KEY:
        raise BadUsage(
            f"operation {operation_id[:99]!r}",
            "no operation can have this name",
            "`aurora-restore history` lists the operations.",
        )
    operation = records.read(operation_id)
    if operation.head is None and not operation.steps:
        raise NotFound(
            f"operation {operation_id}",
            f"there is none in the table {known_settings().state_table}",
            "`aurora-restore history` lists the operations.",
        )
    return operation
