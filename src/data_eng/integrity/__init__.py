"""What must be true of finished tables: tables in, findings out. Nothing here repairs or prints."""
