"""Tools without a domain: settings, database, errors, clock."""
