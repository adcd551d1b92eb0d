"""What customers say they like: five kinds, well-known keys and free ones."""
