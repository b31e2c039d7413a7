"""HTTP endpoints beside the sockets."""
