"""collab.server: the ASGI app, its rooms, its transports and the command line."""
