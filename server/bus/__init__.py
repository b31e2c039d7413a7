"""The bus: how instances of one server hear of each other's changes."""
