"""The server under load: slow readers, crowds that join, cursors, a store that is slow."""
