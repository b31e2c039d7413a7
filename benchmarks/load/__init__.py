"""The load: many WebSocket clients in one process, on one core, that count what reaches them."""
