"""How the flat customer is read: its columns and the tables they lie in."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from psycopg.sql import SQL, Composed, Identifier, Literal

from regulars.customers.models import CustomerProfile, stated_preferences

profile_columns = [field.name for field in fields(CustomerProfile) if field.name not in stated_preferences]
"""The fields of the profile that are columns of `customers`; the others are preferences."""


def listed(columns: Sequence[str], table: str | None = None) -> Composed:
    """Column names, separated by commas."""
    return SQL(", ").join(Identifier(table, column) if table else Identifier(column) for column in columns)


mail_comes_back = SQL("g.bounced_email = c.email AND g.bounced_at > coalesce(g.last_delivered_at, '-infinity')")
"""Mail to the present address came back for good, and nothing got through since: of a customer `c`, engagement `g`."""

# A full run confirms every score, although it writes only those that changed.
_columns = SQL("""
    c.id, c.customer_number, {profile}, c.is_guest, c.is_active, c.is_email_verified, c.is_phone_verified, c.user_id,
    c.version, c.created_at, c.updated_at, c.deleted_at, c.erased_at, c.merged_into,
    coalesce(m.total_orders, 0) AS total_orders,
    coalesce(m.net_spent, 0) AS total_spent,
    m.first_order_at AS first_order_date,
    m.last_order_at AS last_order_date,
    s.recency_score AS rfm_recency_score,
    s.frequency_score AS rfm_frequency_score,
    s.monetary_score AS rfm_monetary_score,
    coalesce(s.segment, CASE WHEN coalesce(m.total_orders, 0) = 0 THEN 'prospect' END) AS rfm_segment,
    CASE WHEN s.rfm_scored_at IS NOT NULL THEN greatest(s.rfm_scored_at, (
        SELECT max(finished_at) FROM scoring_runs WHERE coverage = 'full' AND kind IN ('rfm', 'all')
    )) END AS rfm_last_calculated,
    s.clv,
    CASE WHEN s.clv_scored_at IS NOT NULL THEN greatest(s.clv_scored_at, (
        SELECT max(finished_at) FROM scoring_runs WHERE coverage = 'full' AND kind IN ('clv', 'all')
    )) END AS clv_last_calculated,
    coalesce(a.balance, 0) AS loyalty_points,
    coalesce(a.lifetime_points, 0) AS loyalty_points_lifetime,
    coalesce(a.tier, 'bronze') AS loyalty_tier,
    coalesce((
        SELECT max(t.created_at) FROM loyalty_tier_changes t WHERE t.customer_id = c.id AND t.tier <> t.tier_before
    ), a.created_at) AS tier_start_date,
    a.tier_until AS tier_expiry_date,
    round(g.mails_opened::numeric / nullif(g.mails_delivered, 0), 4)::float8 AS email_open_rate,
    round(g.mails_clicked::numeric / nullif(g.mails_delivered, 0), 4)::float8 AS email_click_rate,
    g.last_opened_at AS last_email_open_date,
    g.last_clicked_at AS last_email_click_date,
    CASE WHEN {mail_comes_back} THEN g.bounced_at END AS email_bounced_at,
    greatest(m.last_order_at, g.last_activity_at) AS last_activity_at
""").format(profile=listed(profile_columns, "c"), mail_comes_back=mail_comes_back)

joined_tables = SQL("""
    LEFT JOIN customer_metrics m ON m.customer_id = c.id
    LEFT JOIN customer_scores s ON s.customer_id = c.id
    LEFT JOIN loyalty_accounts a ON a.customer_id = c.id
    LEFT JOIN customer_engagement g ON g.customer_id = c.id
""")


# Only where customers are read: nobody is found or counted by it.
_joined_preferences = SQL("""
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(preference_type || '/' || preference_key, preference_value) AS stated
        FROM customer_preferences
        WHERE customer_id = c.id AND (preference_type, preference_key) IN ({})
    ) p ON true
""").format(SQL(", ").join(SQL("({}, {})").format(*map(Literal, key)) for key in stated_preferences.values()))


def _stated_columns() -> Iterator[Composed]:
    for name, key in stated_preferences.items():
        is_list = name != "preferred_payment_method"
        value = SQL("ARRAY(SELECT jsonb_array_elements_text(p.stated -> {}))" if is_list else "p.stated ->> {}")
        yield value.format(Literal("/".join(key))) + SQL(" AS {}").format(Identifier(name))


def select_customer(source: SQL) -> Composed:
    """A SELECT of `RetailCustomer` from a source of profile rows; a WHERE may follow."""
    columns = SQL(", ").join([_columns, *_stated_columns()])
    return SQL("SELECT {} FROM {} c {} {}").format(columns, source, joined_tables, _joined_preferences)


customer_rows = select_customer(SQL("customers"))
