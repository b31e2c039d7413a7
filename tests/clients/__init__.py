"""Stock Yjs clients in a Node process, driven from Python."""
