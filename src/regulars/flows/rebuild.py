"""What is kept beside the orders follows from them: proved, and where it does not, put right."""

from collections.abc import Callable
from uuid import UUID

from regulars.analytics.rebuild import ScoreRebuild
from regulars.analytics.repository_rebuild import ScoreDifference
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_purchases import MetricsDifference
from regulars.kit.clock import Clock
from regulars.kit.database import Transactions
from regulars.kit.settings import Settings

customers_at_once = 1_000

OnMetrics = Callable[[MetricsDifference], None]
OnScore = Callable[[ScoreDifference], None]


async def rebuild_metrics(database: Transactions, clock: Clock, *, repair: bool, tell: OnMetrics) -> int:
    """Compute every customer's purchase metrics from the orders, and compare.

    Args:
        database: Each part of 1,000 customers is a transaction of its own.
        clock: Tells when it is put right.
        repair: Write what follows from the orders.
        tell: Told every difference.

    Returns:
        How many customers had other metrics than their orders say.
    """
    after: UUID | None = UUID(int=0)
    count = 0
    while after is not None:
        async with database.transaction() as connection:
            customers = RetailCustomerRepository(connection)
            wrong, after = await customers.find_wrong_metrics(after=after, limit=customers_at_once)
            ids = [difference.customer_id for difference in wrong]
            if repair and ids:
                await customers.lock_states(ids)
                await customers.update_purchase_metrics(ids, now=clock.now())
        for difference in wrong:
            tell(difference)
        count += len(wrong)
    return count


async def rebuild_scores(
    database: Transactions, settings: Settings, clock: Clock, *, repair: bool, tell: OnScore
) -> int:
    """Compute every stored score and seed value by the run that answers for it, and compare.

    What is wrong is scored anew as of today by the edges of the latest full run, 1,000 customers in a transaction. So
    are scores that are merely stale: whose purchases changed while live scoring was off, or while a run was at work.

    Returns:
        How many customers had other scores or values than their orders say.
    """
    async with database.transaction() as connection:
        differences = await ScoreRebuild(connection, settings, clock).find_differences()
    for difference in differences:
        tell(difference)
    wrong = sorted({difference.customer_id for difference in differences})
    for start in range(0, len(wrong) if repair else 0, customers_at_once):
        async with database.transaction() as connection:
            part = wrong[start : start + customers_at_once]
            await ScoreRebuild(connection, settings, clock).score_anew(part)
    return len(wrong)
