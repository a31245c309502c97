"""What is asked of the catalogues about objects: a question for each kind, none for each object."""

from typing import LiteralString

_INSIDE: LiteralString = "(p.oid = ANY(%(schemas)s::oid[]) OR o.oid = ANY(%(oids)s::oid[]))"
_FOREIGN: LiteralString = """EXISTS (
    SELECT FROM pg_depend WHERE deptype = 'e' AND objid = o.oid AND classid = o.tableoid)"""
# Objects of the schemas, and those of the oids: how they are called, and whose they are; whether
# they are an extension's (or a range type's constructor, which is PostgreSQL's own); whether they
# follow another object: a sequence the table it feeds, a multirange its range type (16 leaves it).
_TEMPLATES: dict[str, LiteralString] = {
    "relation": """
        SELECT o.oid, CASE o.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, p.nspname,
            o.relname, o.relowner, {foreign},
            o.relkind = 'S' AND EXISTS (
                SELECT FROM pg_depend WHERE deptype IN ('a', 'i') AND objid = o.oid
                    AND classid = o.tableoid AND refclassid = o.tableoid AND refobjsubid <> 0),
            NULL
        FROM pg_class o JOIN pg_namespace p ON p.oid = o.relnamespace
        WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {inside}
    """,
    "routine": """
        SELECT o.oid, 'ROUTINE', p.nspname, o.proname, o.proowner,
            EXISTS (SELECT FROM pg_depend
                WHERE deptype IN ('e', 'i') AND objid = o.oid AND classid = o.tableoid),
            false, ARRAY(
            SELECT ARRAY[n.nspname::text, t.typname::text]
            FROM unnest(o.proargtypes) WITH ORDINALITY u (type, place)
            JOIN pg_type t ON t.oid = u.type JOIN pg_namespace n ON n.oid = t.typnamespace
            ORDER BY u.place)
        FROM pg_proc o JOIN pg_namespace p ON p.oid = o.pronamespace WHERE {inside}
    """,
    "type": """
        SELECT o.oid, 'TYPE', p.nspname, o.typname, o.typowner, {foreign},
            o.typtype = 'm' AND current_setting('server_version_num')::int >= 170000, NULL
        FROM pg_type o JOIN pg_namespace p ON p.oid = o.typnamespace
        WHERE o.typtype IN ('b', 'c', 'd', 'e', 'r', 'm')
            AND o.typsubscript <> 'array_subscript_handler'::regproc
            AND (o.typrelid = 0
                OR EXISTS (SELECT FROM pg_class WHERE oid = o.typrelid AND relkind = 'c'))
            AND {inside}
    """,
    "schema": """
        SELECT o.oid, 'SCHEMA', NULL, o.nspname, o.nspowner, {foreign}, false, NULL
        FROM pg_namespace o
        WHERE o.nspname = ANY(%(names)s) OR o.oid = ANY(%(oids)s::oid[])
    """,
    "database": """
        SELECT oid, 'DATABASE', NULL, datname, datdba, false, false, NULL
        FROM pg_database WHERE datname = current_database()
    """,
    "language": """
        SELECT oid, 'LANGUAGE', NULL, lanname, lanowner, false, false, NULL
        FROM pg_language WHERE oid = ANY(%(oids)s::oid[])
    """,
    "server": """
        SELECT oid, 'FOREIGN SERVER', NULL, srvname, srvowner, false, false, NULL
        FROM pg_foreign_server WHERE oid = ANY(%(oids)s::oid[])
    """,
    "wrapper": """
        SELECT oid, 'FOREIGN DATA WRAPPER', NULL, fdwname, fdwowner, false, false, NULL
        FROM pg_foreign_data_wrapper WHERE oid = ANY(%(oids)s::oid[])
    """,
    "large object": """
        SELECT oid, 'LARGE OBJECT', NULL, oid::text, lomowner, false, false, NULL
        FROM pg_largeobject_metadata WHERE oid = ANY(%(oids)s::oid[])
    """,
    # The rest matters to an owner only: it has no privileges.
    "collation": """
        SELECT o.oid, 'COLLATION', p.nspname, o.collname, o.collowner, {foreign}, false, NULL
        FROM pg_collation o JOIN pg_namespace p ON p.oid = o.collnamespace WHERE {inside}
    """,
    "conversion": """
        SELECT o.oid, 'CONVERSION', p.nspname, o.conname, o.conowner, {foreign}, false, NULL
        FROM pg_conversion o JOIN pg_namespace p ON p.oid = o.connamespace WHERE {inside}
    """,
    "statistics": """
        SELECT o.oid, 'STATISTICS', p.nspname, o.stxname, o.stxowner, {foreign}, false, NULL
        FROM pg_statistic_ext o JOIN pg_namespace p ON p.oid = o.stxnamespace WHERE {inside}
    """,
    "dictionary": """
        SELECT o.oid, 'TEXT SEARCH DICTIONARY', p.nspname, o.dictname, o.dictowner, {foreign},
            false, NULL
        FROM pg_ts_dict o JOIN pg_namespace p ON p.oid = o.dictnamespace WHERE {inside}
    """,
    "configuration": """
        SELECT o.oid, 'TEXT SEARCH CONFIGURATION', p.nspname, o.cfgname, o.cfgowner, {foreign},
            false, NULL
        FROM pg_ts_config o JOIN pg_namespace p ON p.oid = o.cfgnamespace WHERE {inside}
    """,
}
OBJECTS: dict[str, LiteralString] = {
    name: query.replace("{inside}", _INSIDE).replace("{foreign}", _FOREIGN)
    for name, query in _TEMPLATES.items()
}
ALWAYS = ("relation", "routine", "type", "database")  # and before them: "schema"
OWNERS_ONLY = ("collation", "conversion", "statistics", "dictionary", "configuration")
