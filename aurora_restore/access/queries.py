"""What is asked of PostgreSQL's catalogues: each question once, whatever the number of objects."""

from typing import LiteralString

ROLES = """
    SELECT oid, rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
        rolbypassrls, rolinherit, rolconnlimit,
        CASE WHEN abs(extract(epoch FROM rolvaliduntil)) < 2e11 THEN rolvaliduntil END,
        coalesce(rolvaliduntil = '-infinity', false), rolconfig
    FROM pg_roles
"""
FACTS = """
    SELECT current_database(), pg_get_userbyid(datdba), current_user
    FROM pg_database WHERE datname = current_database()
"""
SETTINGS_IN_DATABASES = """
    SELECT s.setrole, d.datname
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE s.setrole = ANY(%(roles)s::oid[])
"""
_MEMBERSHIPS = """
    SELECT roleid, member, grantor, admin_option, {inherits}
    FROM pg_auth_members WHERE member = ANY(%(roles)s::oid[])
"""
# In which databases a role owns something or has a privilege. What is in none (a membership that
# it has granted, a parameter that it may set) keeps it from being dropped as well.
PLACES = """
    SELECT s.role, coalesce(d.datname, %(shared)s)
    FROM (
        SELECT DISTINCT refobjid AS role, CASE
            WHEN dbid <> 0 THEN dbid WHEN classid = 'pg_database'::regclass THEN objid
            END AS place
        FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY(%(roles)s::oid[])
    ) s LEFT JOIN pg_database d ON d.oid = s.place
"""
# In which schemas roles own something, or the schema itself; no schema: what is in none.
OWNED = """
    SELECT DISTINCT o.role, n.nspname
    FROM (
        SELECT DISTINCT s.refobjid AS role,
            CASE WHEN s.classid = 'pg_namespace'::regclass THEN i.name ELSE i.schema END AS place
        FROM pg_shdepend s
        CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) i
        WHERE s.deptype = 'o' AND s.refclassid = 'pg_authid'::regclass
            AND s.refobjid = ANY(%(roles)s::oid[]) AND s.classid <> 'pg_default_acl'::regclass
            AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                OR s.dbid = 0 AND s.classid = 'pg_database'::regclass AND s.objid =
                    (SELECT oid FROM pg_database WHERE datname = current_database()))
    ) o LEFT JOIN pg_namespace n ON quote_ident(n.nspname) = o.place
"""
# Every privilege that these roles hold on any object here, or on one of its columns. Objects with
# the same privileges come together: many tables have few different lists.
HELD = """
    WITH acls (class, object, part, acl) AS (
        SELECT 'relation', oid, NULL::name, relacl FROM pg_class WHERE relacl IS NOT NULL
        UNION ALL SELECT 'relation', attrelid, attname, attacl
            FROM pg_attribute WHERE attacl IS NOT NULL
        UNION ALL SELECT 'schema', oid, NULL, nspacl FROM pg_namespace WHERE nspacl IS NOT NULL
        UNION ALL SELECT 'routine', oid, NULL, proacl FROM pg_proc WHERE proacl IS NOT NULL
        UNION ALL SELECT 'type', oid, NULL, typacl FROM pg_type WHERE typacl IS NOT NULL
        UNION ALL SELECT 'database', oid, NULL, datacl
            FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT 'language', oid, NULL, lanacl FROM pg_language WHERE lanacl IS NOT NULL
        UNION ALL SELECT 'server', oid, NULL, srvacl
            FROM pg_foreign_server WHERE srvacl IS NOT NULL
        UNION ALL SELECT 'wrapper', oid, NULL, fdwacl
            FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
        UNION ALL SELECT 'large object', oid, NULL, lomacl
            FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL
    ),
    several AS (
        SELECT class, part, acl, array_agg(object::bigint) AS objects
        FROM acls GROUP BY class, part, acl
    )
    SELECT s.class, s.part, s.objects, e.receivers, e.grantors, e.privileges, e.options
    FROM several s
    CROSS JOIN LATERAL (
        SELECT array_agg(grantee::bigint) AS receivers, array_agg(grantor::bigint) AS grantors,
            array_agg(privilege_type) AS privileges, array_agg(is_grantable) AS options
        FROM aclexplode(s.acl) WHERE grantee = ANY(%(roles)s::oid[])
    ) e
    WHERE e.receivers IS NOT NULL
"""
# Before PostgreSQL 15 `public` may be such a schema.
EVERYBODYS = """
    SELECT n.nspname, a.privilege_type
    FROM pg_catalog.pg_namespace n
    JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner AND r.rolsuper
    CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
    WHERE a.grantee = 0 AND n.nspname = ANY(%(schemas)s)
"""
# Those among the roles whose rights the master has, or may have by SET ROLE.
MASTERS = """
    SELECT rolname FROM pg_roles WHERE oid = ANY(%(roles)s::oid[]) AND {has}
"""
DEFAULTS = """
    SELECT d.defaclrole, n.nspname, d.defaclobjtype, e.privilege_type, e.grantee
    FROM pg_default_acl d
    LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) e
    WHERE e.grantee = ANY(%(roles)s::oid[])
"""
DATABASES = "SELECT datname, datallowconn FROM pg_database"


def masters(version: int) -> LiteralString:
    """Return the question after the roles the master is a member of; who may only grant is not."""
    if version >= 160000:  # noqa: PLR2004
        return MASTERS.replace("{has}", "(pg_has_role(oid, 'USAGE') OR pg_has_role(oid, 'SET'))")
    return MASTERS.replace("{has}", "pg_has_role(oid, 'MEMBER')")


def memberships(version: int) -> LiteralString:
    """Return the question after memberships; whether one inherits is told from 16 on."""
    if version >= 160000:  # noqa: PLR2004
        return _MEMBERSHIPS.replace("{inherits}", "inherit_option AND set_option")
    return _MEMBERSHIPS.replace("{inherits}", "true")
