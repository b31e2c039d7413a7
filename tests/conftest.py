"""What all tests have in common: lanes, the matrix they fill, examples, a Postgres server."""

pytest_plugins = ["tests.matrix", "tests.lanes", "tests.examples", "tests.postgres"]
