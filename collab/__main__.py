"""``python -m collab``: the command line, where the command itself is not on the path."""

from collab.server.cli.main import main

main()
