"""How frames reach rooms: one module a transport."""
