"""The queue worked off on the test's own transaction, and the messages that came of it.

post = PostOffice(connection, database, settings, clock)
token = await post.token_to("john@example.com")
"""

import re
from dataclasses import dataclass, field
from uuid import UUID

from regulars.jobs.tasks import tasks_on_demand
from regulars.jobs.toolbox import Toolbox
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.messages import Mail, TextMessage
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase

names = [task.__name__ for task in tasks_on_demand]


@dataclass
class PostOffice:
    """Runs the jobs that wait, each once, and keeps what they send."""

    connection: Connection
    database: RolledBackDatabase
    settings: Settings
    clock: Clock
    mails: list[Mail] = field(default_factory=list)
    texts: list[TextMessage] = field(default_factory=list)
    done: set[int] = field(default_factory=set)

    async def send_mail(self, mail: Mail) -> None:
        self.mails.append(mail)

    async def send_text(self, message: TextMessage) -> None:
        self.texts.append(message)

    async def deliver(self) -> None:
        """Run what waits."""
        toolbox = Toolbox(self.database, self.settings, self.clock, self)  # type: ignore[arg-type]
        cursor = await self.connection.execute(
            "SELECT id, task_name, args FROM procrastinate_jobs WHERE task_name = ANY(%s) ORDER BY id", [names]
        )
        for job_id, name, arguments in await cursor.fetchall():
            if job_id not in self.done:
                self.done.add(job_id)
                await next(task for task in tasks_on_demand if task.__name__ == name)(toolbox, **arguments)

    async def token_to(self, address: str) -> str:
        """The token of the last mail to an address."""
        await self.deliver()
        return token_in(next(mail for mail in reversed(self.mails) if mail.to == address))

    async def code_to(self, number: str) -> str:
        """The code of the last text message to a number."""
        await self.deliver()
        text = next(message.text for message in reversed(self.texts) if message.to == number)
        return re.findall(r"\b\d{6}\b", text)[0]


def token_in(mail: Mail) -> str:
    """The token that a mail carries, in a link or bare."""
    return re.findall(r"(?:token=|Token: )([\w-]{43})\b", mail.text)[0]


def other_code(code: str) -> str:
    """Six digits that are not these."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def customer_link(mail: Mail) -> UUID | None:
    """The customer whom a link names."""
    found = re.search(r"customer_id=([0-9a-f-]{36})", mail.text)
    return UUID(found[1]) if found else None
