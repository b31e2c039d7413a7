"""What all tests have in common: the lanes they run in, and the matrix of clients they fill."""

pytest_plugins = ["tests.matrix", "tests.lanes"]
