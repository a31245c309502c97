"""What the databases hold: a schema worth restoring in the source, something else in the target."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Literal

SOURCE = (
    # Roles as an application's administrator makes them: one owns, two log in.
    "CREATE ROLE sales_owner NOLOGIN",
    "GRANT sales_owner TO postgres",
    "GRANT CREATE ON DATABASE postgres TO sales_owner",
    "SET ROLE sales_owner",
    "CREATE SCHEMA sales",
    "COMMENT ON SCHEMA sales IS 'Customers and what they ordered'",
    """CREATE TABLE sales.customers (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        email text NOT NULL UNIQUE,
        since date NOT NULL
    )""",
    """INSERT INTO sales.customers (name, email, since)
       SELECT 'Customer ' || n, 'customer' || n || '@example.com', date '2020-01-01' + n % 1500
       FROM generate_series(1, 20000) AS n""",
    "CREATE SEQUENCE sales.invoice_numbers START 500000",
    """CREATE TABLE sales.orders (
        id bigint NOT NULL,
        customer_id bigint NOT NULL,
        invoice bigint NOT NULL DEFAULT nextval('sales.invoice_numbers'),
        placed timestamptz NOT NULL,
        amount numeric(10, 2) NOT NULL CHECK (amount >= 0)
    )""",
    "ALTER SEQUENCE sales.invoice_numbers OWNED BY sales.orders.invoice",
    """INSERT INTO sales.orders (id, customer_id, placed, amount)
       SELECT n, n % 20000 + 1, timestamptz '2024-01-01' + n * interval '40 seconds',
              (n * 37 % 100000) / 100.0
       FROM generate_series(1, 150000) AS n""",
    # Keys come after the rows: a third of the time.
    """ALTER TABLE sales.orders ADD PRIMARY KEY (id),
       ADD FOREIGN KEY (customer_id) REFERENCES sales.customers""",
    "CREATE INDEX orders_by_customer ON sales.orders (customer_id, placed)",
    "COMMENT ON TABLE sales.orders IS 'One row per order, never deleted'",
    """CREATE VIEW sales.revenue_by_month AS
       SELECT date_trunc('month', placed) AS month, count(*) AS orders, sum(amount) AS revenue
       FROM sales.orders GROUP BY 1""",
    """CREATE FUNCTION sales.revenue_of(customer bigint) RETURNS numeric
       LANGUAGE sql STABLE
       RETURN (SELECT coalesce(sum(amount), 0) FROM sales.orders WHERE customer_id = customer)""",
    "RESET ROLE",
    "CREATE SCHEMA inventory",
    """CREATE TABLE inventory.items (
        sku text PRIMARY KEY, title text NOT NULL, on_hand integer NOT NULL)""",
    """INSERT INTO inventory.items
       SELECT 'SKU-' || lpad(n::text, 6, '0'), 'Item ' || n, n * 13 % 500
       FROM generate_series(1, 30000) AS n""",
    "CREATE SCHEMA audit",
    """CREATE TABLE audit.entries (
        id bigint NOT NULL,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        what jsonb NOT NULL
    )""",
    """INSERT INTO audit.entries
       SELECT n, timestamptz '2024-01-01' + n * interval '1 minute', 'user' || n % 50,
              jsonb_build_object('order', n, 'change', 'status')
       FROM generate_series(1, 100000) AS n""",
    "ALTER TABLE audit.entries ADD PRIMARY KEY (id)",
    """CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE EXCEPTION 'audit entries are final'; END $$""",
    """CREATE TRIGGER final BEFORE UPDATE OR DELETE ON audit.entries
       FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()""",
    "GRANT USAGE ON SCHEMA sales, inventory, audit TO prod_app, prod_reporting",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sales, inventory TO prod_app",
    "GRANT USAGE ON SEQUENCE sales.invoice_numbers TO prod_app",
    "GRANT INSERT ON audit.entries TO prod_app",
    "GRANT SELECT ON ALL TABLES IN SCHEMA sales, inventory, audit TO prod_reporting",
    "ANALYZE sales.customers, sales.orders, inventory.items, audit.entries",
)
TARGET = (
    "CREATE TABLE public.old_marker (id integer PRIMARY KEY, note text NOT NULL)",
    """INSERT INTO public.old_marker
       VALUES (1, 'staging, before the refresh'), (2, 'to be replaced'), (3, 'or kept')""",
)


def connect(host: str, port: int, user: str, password: str, ca_file: Path) -> connection:
    """Connect to a cluster's endpoint as anybody would: TLS, verified in full."""
    opened = psycopg2.connect(
        host=host,
        hostaddr="127.0.0.1",
        port=port,
        user=user,
        password=password,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=str(ca_file),
        channel_binding="disable",
    )
    opened.autocommit = True
    return opened


def fill(database: connection, statements: Sequence[str], logins: Sequence[str] = ()) -> None:
    """Make the login roles, each with a random password, and run the statements."""
    with database.cursor() as cursor:
        for role in logins:
            word = Literal(secrets.token_urlsafe(18))
            cursor.execute(SQL(f"CREATE ROLE {role} LOGIN PASSWORD {{}}").format(word))
        for statement in statements:
            cursor.execute(statement)
