"""A store in a Postgres database; ``collab.storage.postgres.store`` has it."""
