"""The past of a document, told from its log: changes, content, differences, authors, restore."""
