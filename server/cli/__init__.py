"""The ``collab`` command."""
