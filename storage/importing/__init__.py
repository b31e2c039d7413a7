"""Readers of what other packages have stored, one module for each."""
