"""What happened: spool, importer, store."""
