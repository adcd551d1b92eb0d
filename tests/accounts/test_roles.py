from regulars.accounts.roles import all_scopes, scopes_of

# The table of scopes in the API's conventions, as it stands there.
table = """
customers:create | service, staff, admin
customers:read | service, staff, analyst, admin
customers:lookup | service, staff, admin
customers:search | staff, analyst, admin
customers:pii | staff, admin
customers:write | staff, admin
customers:verify | service, staff, admin
customers:status | staff, admin
customers:erase | admin
loyalty:read | service, staff, analyst, admin
loyalty:earn | service, admin
loyalty:redeem | service, staff, admin
loyalty:adjust | staff, admin
loyalty:jobs | admin
loyalty:tier | admin
loyalty:auto-tier | service, staff, admin
loyalty:refund | service, staff, admin
prefs:read | staff, admin
prefs:write | staff, admin
analytics:read | staff, analyst, admin
analytics:run | analyst, admin
bulk:write | admin
export:run | analyst, admin
engagement:write | service, admin
consent:read | service, staff, admin
consent:write | service, staff, admin
privacy:export | staff, admin
orders:write | service, admin
orders:read | service, staff, analyst, admin
orders:refund | service, staff, admin
orders:import | service, admin
orders:any-source | service, staff, analyst, admin
catalog:write | service, admin
catalog:read | service, staff, analyst, admin
jobs:read | service, staff, analyst, admin
audit:read | admin
users:manage | admin
clients:manage | admin
operations:read | service, admin
self | customer, service, staff, analyst, admin
self:password | customer, staff, analyst, admin
"""
holders = {scope: set(roles.split(", ")) for scope, roles in (line.split(" | ") for line in table.strip().splitlines())}


def test_every_role_holds_exactly_its_scopes() -> None:
    assert all_scopes == holders.keys()
    for role in ("customer", "service", "staff", "analyst", "admin"):
        assert scopes_of(role) == {scope for scope, roles in holders.items() if role in roles}
