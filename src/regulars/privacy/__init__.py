"""What customers allowed, and their right to see what is known of them and to be forgotten."""
