"""Fixtures that several files of these tests share."""

from product_fixtures import (
    _no_clients_are_left,
    account,
    admin,
    admin_clients,
    pristine,
    rds,
    source_admin,
)
from rds_fixtures import aurora, built
from server_fixtures import database, server

__all__ = [
    "_no_clients_are_left",
    "account",
    "admin",
    "admin_clients",
    "aurora",
    "built",
    "database",
    "pristine",
    "rds",
    "server",
    "source_admin",
]
