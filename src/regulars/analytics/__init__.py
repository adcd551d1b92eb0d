"""What customers are worth: RFM segments, lifetime value, reports."""
