"""Peers: what the other end of a connection is, whatever the transport."""
