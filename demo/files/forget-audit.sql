-- What production's people did stays in production.
TRUNCATE audit.entries;
