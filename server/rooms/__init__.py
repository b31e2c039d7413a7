"""Rooms: where sessions meet over documents, and the way of a change through them."""
