"""What was acknowledged is kept: servers that are killed, and disks that fail."""
