"""Who may do what in the restored database: declared, compared with what is there, made so."""
