"""What customers allow: one writer of events for one customer and for many, and what callers may do and see."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO
from uuid import UUID

from regulars.customers.access import require_own_or, require_visible
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.csv_files import Verbatim, csv_bytes
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.events import record_events
from regulars.kit.security import Principal
from regulars.privacy.consents_rules import Decision, Outcome, decide
from regulars.privacy.erased_people import ErasedPeople
from regulars.privacy.events import ConsentChanged
from regulars.privacy.models_consents import (
    ConsentAction,
    ConsentChannel,
    ConsentEvent,
    ConsentKey,
    ConsentPurpose,
    ConsentStatement,
    LastConsent,
    LastWord,
    contact_changed,
    contact_fields,
    merged,
)
from regulars.privacy.repository_consents import ConsentRepository
from regulars.privacy.schemas_consents import ConsentChange

_granted = ConsentAction.GRANTED


class ConsentJournal:
    """Writes consents, and keeps the flags of the customers what the events say.

    Whoever calls has locked the customers: that is what makes grants and withdrawals follow one another.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._consents = ConsentRepository(connection)

    async def record(
        self, statements: Sequence[ConsentStatement], *, by: Principal | None, erased: ErasedPeople | None = None
    ) -> list[Outcome]:
        """Write down what was said, in the order given, in a fixed number of statements however much it is.

        Args:
            statements: About customers who are there and locked; no time that is told lies in the future.
            by: Who reports it; None for the program itself.
            erased: Who was erased; needed for grants that were not given just now, which an erasure can have followed.

        Returns:
            What became of each.
        """
        now = self._clock.now()
        customer_ids = sorted({statement.customer_id for statement in statements})
        last = await self._last(customer_ids)
        known = _Known(
            await self._consents.find_known(statements),
            {(each.key, each.source): each for each in await self._consents.get_last_words(statements)},
            {} if erased is None else await erased.erased_at(customer_ids),
        )
        may_be_older = any(each.when != "now" and each.action == _granted for each in statements)
        assert erased or not may_be_older, "a grant may be older than an erasure"  # noqa: S101
        decisions = [_decided(statement, last, known, now) for statement in statements]
        written = [
            (statement, decision.occurred_at)
            for statement, decision in zip(statements, decisions, strict=True)
            if decision.occurred_at is not None
        ]
        if written:
            await self._consents.append(written, by=by, at=now)
            await self._consents.project(customer_ids, at=now)
            waiting = {each.key for each in await self._consents.find_waiting(customer_ids)}
            await record_events(self._connection, now, *_told(statements, decisions, waiting))
        return [decision.outcome for decision in decisions]

    async def follow_flags(self, customer_ids: Sequence[UUID], *, source: str, by: Principal | None) -> None:
        """Write down what a form said: for each flag that is not what the events say, the event that makes it so."""
        flags = await self._consents.find_flags_without_events(customer_ids)
        statements = [
            ConsentStatement(
                customer_id=flag.customer_id,
                channel=ConsentChannel(flag.channel),
                action=ConsentAction.GRANTED if flag.is_granted else ConsentAction.WITHDRAWN,
                when="now",
                source=source,
            )
            for flag in flags
        ]
        if statements:
            await self.record(statements, by=by)
            await self._consents.project(customer_ids, at=self._clock.now())

    async def state(
        self, customer_id: UUID, said: Mapping[ConsentChannel, bool], *, source: str, by: Principal | None
    ) -> None:
        """Write down what a form said about channels, and bring the flags, which it may have set already, in line.

        Silence and a refusal of what nobody granted are nothing new.
        """
        granted = {key[2] for key, last in (await self._last([customer_id])).items() if last.action == _granted}
        statements = [
            ConsentStatement(
                customer_id=customer_id,
                channel=channel,
                action=_granted if is_granted else ConsentAction.WITHDRAWN,
                when="now",
                source=source,
            )
            for channel, is_granted in said.items()
            if is_granted or channel in granted
        ]
        if statements:
            await self.record(statements, by=by)
        await self._consents.project([customer_id], at=self._clock.now())

    async def give_up_contact(self, before: RetailCustomer, channels: Collection[ConsentChannel]) -> None:
        """End what was granted for an address or number that a customer has no more.

        Whoever objected to messages there stays on the list of those who must not be written to.

        Args:
            before: The customer before the change.
            channels: Those that go to another address or number now.
        """
        for channel in channels:
            if address := getattr(before, contact_fields[channel]):
                await self._consents.keep_suppressed(before.id, channel, address, at=self._clock.now())
        lost = dict.fromkeys(channels, False)
        await self.state(before.id, lost, source=contact_changed, by=None)

    async def find_waiting(self, customer_id: UUID) -> list[LastConsent]:
        """Grants that wait until the customer proves the address or number."""
        return await self._consents.find_waiting([customer_id])

    async def release(self, customer_id: UUID, waiting: Sequence[LastConsent]) -> None:
        """Let grants hold whose address or number has been proved.

        Args:
            customer_id: A customer that is locked.
            waiting: What `find_waiting()` answered before the proof.
        """
        now = self._clock.now()
        await self._consents.project([customer_id], at=now)
        still = {each.channel for each in await self._consents.find_waiting([customer_id])}
        held = [each for each in waiting if each.channel not in still]
        await record_events(
            self._connection,
            now,
            *(
                ConsentChanged(
                    customer_id=customer_id,
                    purpose=ConsentPurpose(each.purpose),
                    channel=ConsentChannel(each.channel),
                    action=_granted,
                )
                for each in held
            ),
        )

    async def move(self, source: UUID, target: UUID, *, erased: ErasedPeople) -> None:
        """Write down for one customer what another said last, at the time of then; the other takes it back."""
        said = (await self._last([source])).values()
        statements = [
            ConsentStatement(
                customer_id=target,
                channel=ConsentChannel(last.channel),
                action=ConsentAction(last.action),
                when=last.occurred_at,
                source=merged,
                purpose=ConsentPurpose(last.purpose),
                policy_version=last.policy_version,
                text_hash=last.text_hash,
            )
            for last in said
        ]
        if statements:
            await self.record(statements, by=None, erased=erased)
        await self.state(source, dict.fromkeys(ConsentChannel, False), source=merged, by=None)

    async def _last(self, customer_ids: Sequence[UUID]) -> dict[ConsentKey, LastConsent]:
        return {each.key: each for each in await self._consents.get_last_consents(customer_ids)}


class ConsentService:
    """Consents, as far as one caller may see and change them; in one transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)
        self._consents = ConsentRepository(connection)
        self._journal = ConsentJournal(connection, clock)

    async def get_consents(
        self, customer_id: UUID, *, before: tuple[datetime, int] | None, limit: int, by: Principal
    ) -> tuple[RetailCustomer, list[ConsentEvent], list[LastConsent]]:
        """A customer with the flags of now, a part of the history, newest first, and the grants that wait for a proof.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
        """
        require_own_or("consent:read", customer_id, by)
        customer = await self._customers.get(customer_id)
        require_visible(customer, by, "consent:read")
        if by.sees_identifiers():
            await self._audit("get_consents", by, customer_id)
        history = await self._consents.get_history(customer_id, before=before, limit=limit)
        return customer, history, await self._consents.find_waiting([customer_id])

    async def record_consent(self, customer_id: UUID, change: ConsentChange, *, by: Principal) -> None:
        """Write down a grant or a withdrawal; what was said already is not written again.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
        """
        require_own_or("consent:write", customer_id, by)
        require_visible(await self._customers.lock(customer_id), by, "consent:write")
        [outcome] = await self._journal.record([change.statement(customer_id, "now", source=source_of(by))], by=by)
        if outcome == Outcome.RECORDED:
            await self._audit("record_consent", by, customer_id, fields=[change.channel])

    async def unsubscribe(self, customer_id: UUID, channel: ConsentChannel) -> None:
        """Withdraw a consent for whoever holds the link; nothing tells whether there is such a customer.

        A link that was mailed to a record which became part of another is about that one.
        """
        try:
            customer = await self._customers.lock(customer_id)
            while customer.merged_into is not None:
                customer = await self._customers.lock(customer_id := customer.merged_into)
        except NotFound:
            return
        if customer.erased_at is None:
            statement = ConsentStatement(
                customer_id=customer_id,
                channel=channel,
                action=ConsentAction.WITHDRAWN,
                when="now",
                source="unsubscribe-link",
            )
            await self._journal.record([statement], by=None)

    async def export_suppressions(self, channel: ConsentChannel, into: IO[bytes], *, by: Principal) -> int:
        """Write as CSV who must not be written to by a channel, and why; how many they are.

        Raises:
            InsufficientScope: the caller may not see who people are.
        """
        by.require("customers:pii")
        into.write(csv_bytes([("channel", "address", "customer_number", "reason")]))
        rows = 0
        async for batch in self._consents.read_suppressions(channel):
            into.write(
                csv_bytes(
                    (channel, Verbatim(each.address) if each.address else None, each.customer_number, each.reason)
                    for each in batch
                )
            )
            rows += len(batch)
        await record_audit(
            self._connection,
            "export_suppressions",
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            facts={"channel": channel, "rows": rows},
        )
        return rows

    async def _audit(self, action: str, by: Principal, customer_id: UUID, fields: Sequence[str] = ()) -> None:
        await record_audit(
            self._connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
            fields=fields,
        )


def source_of(by: Principal) -> str:
    """Where a caller's statements come from: an API client's source, else who the caller is."""
    if by.kind == "operator":
        return by.kind
    return by.source or by.role


@dataclass(frozen=True)
class _Known:
    """What is written down already that bears on statements which were not made just now.

    Attributes:
        told: Events of the times that statements tell.
        words: The last word of each source about each consent.
        erased_at: When a person with an address of the customer was last erased.
    """

    told: set[tuple[ConsentKey, str, datetime]]
    words: dict[tuple[ConsentKey, str], LastWord]
    erased_at: Mapping[UUID, datetime]

    def includes(self, statement: ConsentStatement) -> bool:
        """Whether a statement is written down."""
        if isinstance(statement.when, datetime):
            return (statement.key, str(statement.action), statement.when) in self.told
        word = self.words.get((statement.key, statement.source))
        return word is not None and word.action == statement.action

    def add(self, statement: ConsentStatement, occurred_at: datetime) -> None:
        """Take in what is about to be written."""
        key = statement.key
        self.told.add((key, str(statement.action), occurred_at))
        word = self.words.get((key, statement.source))
        if word is None or word.occurred_at <= occurred_at:
            self.words[key, statement.source] = LastWord(*key, statement.source, statement.action, occurred_at)


def _decided(
    statement: ConsentStatement, last: dict[ConsentKey, LastConsent], known: _Known, now: datetime
) -> Decision:
    """Decide on a statement, and leave `last` and `known` as the next one finds them."""
    key = statement.key
    erased_at = known.erased_at.get(statement.customer_id)
    decision = decide(statement, last.get(key), now=now, is_known=known.includes(statement), erased_at=erased_at)
    if decision.occurred_at is None:
        return decision
    known.add(statement, decision.occurred_at)
    if decision.is_in_force:
        last[key] = LastConsent(
            *key, statement.action, decision.occurred_at, statement.policy_version, statement.text_hash
        )
    return decision


def _told(
    statements: Sequence[ConsentStatement], decisions: Sequence[Decision], waiting: Collection[ConsentKey]
) -> list[ConsentChanged]:
    """The events of what holds now; a grant that waits for a proof has its event when it is proved."""
    return [
        ConsentChanged(
            customer_id=statement.customer_id,
            purpose=statement.purpose,
            channel=statement.channel,
            action=statement.action,
        )
        for statement, decision in zip(statements, decisions, strict=True)
        if decision.is_in_force and not (statement.action == _granted and statement.key in waiting)
    ]
