"""The customer master: who the shop knows."""
