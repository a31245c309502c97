-- Nobody in staging needs to know who bought what: names and addresses become made-up ones.
UPDATE sales.customers
SET name = 'Customer ' || id, email = 'customer-' || id || '@example.invalid';
