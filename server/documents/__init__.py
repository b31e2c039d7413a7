"""What is done to whole documents: their past, their copies, their end."""
