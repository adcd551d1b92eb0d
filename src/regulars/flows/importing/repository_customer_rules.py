"""Which rows of a file of customers can be taken, as SQL, and the typed values of those that can."""

from collections.abc import Collection, Iterator
from datetime import datetime

from psycopg.sql import SQL, Identifier, Literal

from regulars.flows.importing.repository_rules import (
    Rule,
    broken_rules,
    hidden_characters,
    instant_rules,
    profile_rules,
    rule,
    trimmed_rows,
)
from regulars.flows.importing.rows import address_fields, customers, profile_fields, source_form
from regulars.kit.database import Repository
from regulars.kit.schemas import most_tags

# A list in JSON, or words between bars.
_tags = SQL("""
    CASE WHEN tags LIKE '[%' THEN ARRAY(SELECT btrim(tag) FROM jsonb_array_elements_text(tags::jsonb) AS tag)
        ELSE ARRAY(SELECT btrim(tag) FROM unnest(string_to_array(tags, '|')) AS tag) END
""")
# One that is repeated counts once, in its first place.
_distinct_tags = SQL("""
    ARRAY(SELECT tag FROM unnest({}) WITH ORDINALITY AS said (tag, place) GROUP BY tag ORDER BY min(place))
""").format(_tags)
# OFFSET 0: a cast must only ever see a text that passed its rule.
_create_checked = SQL("""
    CREATE TEMP TABLE checked AS
    SELECT line, code, customer_number, customer_id AS external_customer_id, email, phone,
        concat_ws(chr(31), 'n' || customer_number, 'x' || customer_id, 'e' || email, 'p' || phone) AS who,
        CASE WHEN code IS NULL THEN coalesce(created_at::timestamptz, {now}) END AS ordered_at,
        CASE WHEN code IS NULL AND tags IS NOT NULL THEN {tags} END AS tags, referrer,
        CASE WHEN code IS NULL THEN external_ids::jsonb END AS external_ids
    FROM (SELECT *, {code} AS code FROM ({rows}) AS texts OFFSET 0) AS coded
""")


# Of an export of ours: who is here goes by number, and has its referrer; anybody else has a number of another
# installation, which says nothing here, and goes by its id. Who brought whom is known of those in the file.
_exported_rows = SQL("""
    SELECT {others}, CASE WHEN is_here THEN customer_number END AS customer_number,
        CASE WHEN NOT is_here THEN customer_id END AS customer_id,
        CASE WHEN NOT is_here AND (referrer IN (SELECT customer_id FROM incoming) OR EXISTS (
            SELECT FROM customer_identifiers WHERE kind = {kind} AND value = referrer
        )) THEN referrer END AS referrer
    FROM (
        SELECT *, EXISTS (
            SELECT FROM customers
            WHERE id = CASE WHEN pg_input_is_valid(customer_id, 'uuid') THEN customer_id::uuid END
        ) AS is_here
        FROM ({rows}) AS written
    ) AS exported
""")
_decided = ("customer_number", "customer_id", "referrer")


class CustomerCheckingRepository(Repository):
    """Asks the rules of customers."""

    async def check(self, columns: Collection[str], *, now: datetime, exported_as: str | None = None) -> None:
        """Fill `checked` from `incoming`.

        Args:
            columns: The fields that the file has.
            now: Since when customers are known whose line says nothing of it.
            exported_as: Of an export of ours, the system whose ids its column `id` has.
        """
        rows = trimmed_rows(columns, customers.fields)
        if exported_as:
            others = ("line", "problem", *(field for field in customers.fields if field not in _decided))
            rows = _exported_rows.format(
                others=SQL(", ").join(map(Identifier, others)), kind=Literal(f"ext:{exported_as}"), rows=rows
            )
        await self._execute(
            _create_checked.format(
                now=Literal(now),
                tags=_distinct_tags,
                code=broken_rules(columns, _rules(now)),
                rows=rows,
            )
        )
        await self._execute("ANALYZE checked (line, code, who)")


def _rules(now: datetime) -> Iterator[Rule]:
    yield rule("customer_id", SQL("length(customer_id) > 200"), "customer-id-length")
    yield from instant_rules("created_at", now)
    yield from profile_rules((*profile_fields, *address_fields), now)
    yield rule("tags", SQL("tags LIKE '[%' AND NOT tags IS JSON ARRAY"), "tags-format")
    yield rule(
        "tags",
        SQL(
            "EXISTS (SELECT FROM unnest({}) AS tag WHERE tag IS NULL OR length(tag) NOT BETWEEN 1 AND 50 OR tag ~ {})"
        ).format(_tags, Literal(hidden_characters)),
        "tags-format",
    )
    yield rule("tags", SQL("cardinality({}) > {}").format(_tags, Literal(most_tags)), "tags-number")
    yield rule("external_ids", SQL("NOT external_ids IS JSON OBJECT"), "external-ids-format")
    yield rule(
        "external_ids",
        SQL("""EXISTS (
            SELECT FROM jsonb_each(external_ids::jsonb) AS id (source, value)
            WHERE jsonb_typeof(value) <> 'null' AND (
                source !~ {} OR jsonb_typeof(value) NOT IN ('string', 'number')
                OR length(btrim(value #>> '{{}}')) > 200)
        )""").format(Literal(f"^{source_form}$")),
        "external-ids-format",
    )
    yield rule("referrer", SQL("length(referrer) > 200"), "referrer-unknown")
