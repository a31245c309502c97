"""Aurora clusters and cluster snapshots, as RDS's API shows and moves them."""
