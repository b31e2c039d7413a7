"""Limits: what one client, one address or one user may take of the server."""
