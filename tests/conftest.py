"""What all tests have in common: lanes they run in, the matrix they fill, a Postgres server."""

pytest_plugins = ["tests.matrix", "tests.lanes", "tests.postgres"]
