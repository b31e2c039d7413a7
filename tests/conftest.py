"""What all tests have in common: lanes, the matrix they fill, examples, a Postgres server."""

import signal

pytest_plugins = ["tests.matrix", "tests.lanes", "tests.examples", "tests.postgres"]

# A shell has what it runs in the background ignore Ctrl-C, and so would all that is started here:
# tests send it to commands, and wait for them to end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
