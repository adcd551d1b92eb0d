"""Know your regulars: customers, an exact points ledger and lifetime value for retailers."""

__version__ = "0.1.0"
