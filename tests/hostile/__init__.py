"""What clients may do that mean harm, and that nobody else is hurt by it."""
