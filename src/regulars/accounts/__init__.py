"""Who may sign in: people, API clients, roles, scopes, tokens."""
