"""Nothing may be left that does not add up: metrics, scores and the ledger against the orders."""

from regulars.flows.rebuild import rebuild_metrics, rebuild_scores
from regulars.kit.clock import Clock
from regulars.kit.database import Transactions
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService


async def require_sound_purchases(database: Transactions, settings: Settings, clock: Clock) -> None:
    """Purchase metrics and scores are what the orders say, and the ledger is whole."""
    differences: list[object] = []
    await rebuild_metrics(database, clock, repair=False, tell=differences.append)
    await rebuild_scores(database, settings, clock, repair=False, tell=differences.append)
    assert differences == []
    async with database.transaction() as connection:
        audit = await AuditService(connection).audit_ledger()
    assert audit.counts == dict.fromkeys(audit.counts, 0)
