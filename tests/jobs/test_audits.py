"""The audit that runs all day."""

from pathlib import Path

import pytest

from regulars.jobs.audits import start_audit_of_touched
from regulars.jobs.kinds import kinds
from regulars.jobs.runs import perform
from regulars.jobs.toolbox import Toolbox
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.delivery import messenger_from
from regulars.kit.jobs import Jobs
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.schemas_reports import LoyaltyAuditResponse
from tests.conftest import RolledBackDatabase
from tests.factories.loyalty import break_accounts, make_members


async def test_customers_whose_points_moved_are_audited(
    database: RolledBackDatabase, connection: Connection, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    toolbox = Toolbox(database, settings, clock, messenger_from(settings))  # type: ignore[arg-type]
    await make_members(connection, clock, 1)
    await break_accounts(connection)
    for _ in range(2):
        await start_audit_of_touched(toolbox)
    [(job_id,)] = await (await connection.execute("SELECT id FROM jobs")).fetchall()
    await perform(toolbox, job_id, kinds)
    jobs = Jobs(connection, clock)
    assert (await jobs.get(job_id, by=operator)).state == "succeeded"
    told = LoyaltyAuditResponse.model_validate_json(b"".join([piece async for piece in jobs.pieces(job_id)]))
    assert told.scope == "touched"
    assert told.violations >= 1
    assert "the ledger does not add up" in caplog.text
