"""collab: a Yjs backend. Documents people edit together, kept on disk, served or embedded.

The core (this package without ``collab.server`` and ``collab.storage``) has no tasks, no sockets,
no files and no clock of its own: bytes in, values out.
"""

__version__ = "0.1.0"
