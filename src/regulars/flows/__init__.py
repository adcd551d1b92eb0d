"""Stories that cross domains, each all or nothing."""
