"""What is published, and what is known of it."""
