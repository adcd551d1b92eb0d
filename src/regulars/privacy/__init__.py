"""What people may know and decide about their data: export, erasure, and the register of every column."""
