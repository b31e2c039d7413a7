"""What the project's scripts make of what they read."""
