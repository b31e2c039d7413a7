"""Documents shown in other formats."""
