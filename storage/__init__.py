"""collab.storage: stores behind ``collab.store.Store``."""
