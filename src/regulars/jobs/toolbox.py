"""What a task works with."""

from dataclasses import dataclass
from typing import Self

from procrastinate import JobContext

from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.messages import Messenger
from regulars.kit.settings import Settings


@dataclass(frozen=True)
class Toolbox:
    """Handed by the worker to every task."""

    database: Database
    settings: Settings
    clock: Clock
    messenger: Messenger

    @classmethod
    def of(cls, context: JobContext) -> Self:
        """The toolbox of a running job."""
        toolbox = context.additional_context["toolbox"]
        if not isinstance(toolbox, cls):
            message = "the worker was started without a toolbox"
            raise TypeError(message)
        return toolbox
