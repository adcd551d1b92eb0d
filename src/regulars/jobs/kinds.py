"""The kinds of jobs that callers can follow, by the name under which they are started.

To add a kind:

1. Write its work: `async def erase_customer(run: JobRun) -> JobResult`. It reads `run.job.arguments` (ids) and
   `await run.request(Schema)` (the body that the door was sent), acts as `run.by`, tells `run.report(40)`, and answers
   `JobResult.of(body)` or `JobResult(file, "text/csv", "name.csv")`. A refusal that it raises becomes the job's error,
   as the door would have answered it. A worker may die at any point and the work begin anew, so it must be harmless
   to repeat; `@in_one_transaction` is the simplest way: effect and result commit together.
2. Name it in `kinds` below, by the operationId.
3. Let the door offer it: `long_work: LongWorkDep` and `await long_work.run("calculate_clv", request, work)`, as
   `regulars.api.long_work` says. A flow starts one by `Jobs(connection, clock).start("erase_customer", by=caller)`.
"""

from collections.abc import Mapping

from regulars.jobs import audits, backtests, bulk_changes, calculations, imports, nightly, privacy
from regulars.jobs.runs import Work

kinds: Mapping[str, Work] = {
    "get_clv_backtest": backtests.get_clv_backtest,
    "calculate_rfm_scores": calculations.calculate_rfm_scores,
    "calculate_clv": calculations.calculate_clv,
    "expire_loyalty_points": calculations.expire_loyalty_points,
    "bulk_update_status": bulk_changes.bulk_update_status,
    "bulk_update_tier": bulk_changes.bulk_update_tier,
    "bulk_update_tags": bulk_changes.bulk_update_tags,
    "export_customers": bulk_changes.export_customers,
    "import_orders": imports.import_orders,
    "nightly": nightly.nightly,
    "audit_ledger": audits.audit_ledger,
    "export_customer_data": privacy.export_customer_data,
    "erase_customer": privacy.erase_customer,
}
