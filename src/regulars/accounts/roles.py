"""What each role may do: a role is a named set of scopes, and nothing else."""

from collections.abc import Mapping

from regulars.kit.security import Role

_holders: Mapping[str, str] = {
    "customers:create": "service staff admin",
    "customers:read": "service staff analyst admin",
    "customers:lookup": "service staff admin",
    "customers:search": "staff analyst admin",
    "customers:pii": "staff admin",
    "customers:write": "staff admin",
    "customers:verify": "service staff admin",
    "customers:status": "staff admin",
    "customers:erase": "admin",
    "loyalty:read": "service staff analyst admin",
    "loyalty:earn": "service admin",
    "loyalty:redeem": "service staff admin",
    "loyalty:adjust": "staff admin",
    "loyalty:jobs": "admin",
    "loyalty:tier": "admin",
    "loyalty:auto-tier": "service staff admin",
    "loyalty:refund": "service staff admin",
    "prefs:read": "staff admin",
    "prefs:write": "staff admin",
    "analytics:read": "staff analyst admin",
    "analytics:run": "analyst admin",
    "bulk:write": "admin",
    "export:run": "analyst admin",
    "engagement:write": "service admin",
    "consent:read": "service staff admin",
    "consent:write": "service staff admin",
    "privacy:export": "staff admin",
    "orders:write": "service admin",
    "orders:read": "service staff analyst admin",
    "orders:refund": "service staff admin",
    "orders:import": "service admin",
    "orders:any-source": "service staff analyst admin",
    "catalog:write": "service admin",
    "catalog:read": "service staff analyst admin",
    "jobs:read": "service staff analyst admin",
    "audit:read": "admin",
    "users:manage": "admin",
    "clients:manage": "admin",
    "operations:read": "service admin",
    "self": "customer service staff analyst admin",
    "self:password": "customer staff analyst admin",
}

all_scopes: frozenset[str] = frozenset(_holders)


def scopes_of(role: Role) -> frozenset[str]:
    """The scopes that a role holds."""
    return frozenset(scope for scope, holders in _holders.items() if role in holders.split())
