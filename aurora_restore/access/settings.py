"""Parameters that are set for a role's sessions, compared as PostgreSQL keeps them. Pure."""

import re
from collections.abc import Iterator

from aurora_restore.access.catalogue import Catalogue, Role
from aurora_restore.access.changes import ResetSetting, SetSetting
from aurora_restore.access.declared import DatabaseRole

# Source: PostgreSQL, pg_dump's dumputils.c: the parameters that are lists of quoted names.
FOLDED = {"search_path", "temp_tablespaces"}
LISTS = FOLDED | {"local_preload_libraries", "session_preload_libraries"}
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*?))\s*(?:,|$)')


def items(name: str, value: str) -> list[str]:
    """Return a parameter's value as a list: `sales, public` are two, `"sales, public"` is one."""
    if name not in LISTS:
        return [value]
    found, at = list[str](), 0
    while True:
        match = _ITEM.match(value, at)
        if match is None:  # quotes that do not pair: PostgreSQL shall say so
            return [value]
        quoted, bare = match.groups()
        if quoted is not None:
            found.append(quoted.replace('""', '"'))
        else:
            found.append(bare.lower() if name in FOLDED else bare)
        at = match.end()
        if not match.group().endswith(","):
            return found


def differing(role: DatabaseRole, catalogue: Catalogue) -> Iterator[SetSetting | ResetSetting]:
    """Give what to forget and what to set. PostgreSQL writes some names in capitals: TimeZone."""
    seen = catalogue.roles.get(role.name, Role(role.name)).settings
    for name in seen:
        if name.lower() not in role.settings:
            yield ResetSetting(role.name, name)
    for each, database in sorted(catalogue.settings_in_databases):
        if each == role.name:
            yield ResetSetting(role.name, None, database)
    current = {name.lower(): value for name, value in seen.items()}
    for name, value in role.settings.items():
        if name not in current or items(name, current[name]) != items(name, value):
            yield SetSetting(role.name, name, value)
