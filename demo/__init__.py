"""A whole refresh on this machine: sandbox, Prefect server, work pool, worker, deployment, run."""
