"""What stores take and give: size, opening, durable writes, and what a kill loses."""
