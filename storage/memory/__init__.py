"""Documents in this process, for tests and for trying things out."""

from collab.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
