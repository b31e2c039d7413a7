"""Wire protocols: one module for each client family."""
