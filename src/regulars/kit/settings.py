"""Settings of an installation, read from the environment (`REGULARS_...`) or a `.env` file in the working directory."""

import json
from datetime import time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from regulars.kit import setting_values
from regulars.kit.clock import Clock
from regulars.kit.database_address import require_database_address
from regulars.kit.errors import OperatorError
from regulars.kit.money import minor_units
from regulars.kit.web_addresses import require_private_way

CommaSeparated = Annotated[list[str], NoDecode]
Days = Annotated[int, Field(ge=1, le=36_500)]
Multiplier = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_may_be_empty = frozenset({"allowed_hosts", "trusted_proxies", "sms_countries", "nightly_at"})
_largest_file = 1 << 50
_largest_count = 2_147_483_647


class Settings(BaseSettings):
    """Every setting, its meaning and its default."""

    model_config = SettingsConfigDict(
        env_prefix="REGULARS_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("regulars"),
        description="Folder of the embedded PostgreSQL; unset, `~/.local/share/regulars` on Linux.",
    )
    database_url: str | None = Field(
        default=None, repr=False, description="A PostgreSQL server of your own, instead of the embedded one."
    )

    store_timezone: str = Field(
        default="UTC",
        description="Time zone of the shop: where its days begin and end. Kept with the data; once there are orders,"
        " `regulars settings timezone` changes it.",
    )
    currency: str = Field(
        default="EUR",
        description="ISO 4217 code of the one currency of this installation. Kept with the data; fixed once there are"
        " orders.",
    )
    brand_name: str = Field(default="regulars", description="Name of the shop, as its customers know it.")

    minimum_age: int = Field(
        default=18, ge=0, le=120, description="Youngest age of a customer whose date of birth is known, in years."
    )

    public_url: str | None = Field(
        default=None,
        description="Where customers reach this installation: links in messages begin with it. https, or http on this"
        " machine.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server: smtps://user:password@host (TLS), smtp:// (STARTTLS) or smtp+insecure:// (neither,"
        " and no password). Unset, mails become files in data_dir/outbox.",
    )
    mail_from: str | None = Field(default=None, description="Address that mails come from.")
    sms_webhook_url: str | None = Field(
        default=None,
        description="Is sent each text message as a POST of JSON with `to` and `text`. https, or http on this machine."
        " Unset, they become files in data_dir/outbox.",
    )
    sms_webhook_token: SecretStr | None = Field(default=None, description="Sent to sms_webhook_url as bearer token.")

    jwt_secret: SecretStr | None = Field(
        default=None,
        description="Signs access tokens and links to unsubscribe; 32 bytes or more. The embedded database makes its"
        " own.",
    )
    jwt_secret_previous: SecretStr | None = Field(
        default=None, description="Still accepted while tokens and links signed by it live on."
    )
    erasure_secret: SecretStr | None = Field(
        default=None,
        description="Keys the hashes by which erased people are recognised for twelve months. Never replace it. Unset,"
        " jwt_secret does it, and replacing that forgets them.",
    )
    anonymise_inactive_after_days: int | None = Field(
        default=None,
        ge=30,
        le=36_500,
        description="Erase customers who did not buy, move points, sign in or open a mail for so long. Unset, never.",
    )
    jwt_issuer: str = Field(default="regulars", description="Claim `iss` of access tokens.")
    jwt_audience: str = Field(default="regulars-api", description="Claim `aud` of access tokens.")
    access_token_minutes: int = Field(default=15, ge=1, le=15, description="Life of an access token.")
    refresh_token_days: int = Field(default=30, ge=1, le=365, description="Life of a refresh token.")

    refresh_grace_seconds: int = Field(
        default=10, ge=0, le=60, description="How long the client that used a refresh token may send it again; 0 never."
    )

    allowed_hosts: CommaSeparated = Field(
        default=["localhost", "127.0.0.1"],
        description="Names under which the API may be called, comma-separated. /livez, /readyz and /metrics may also be"
        " called by IP address.",
    )
    openapi_public: bool = Field(default=True, description="Whether the OpenAPI document can be read without a token.")
    trusted_proxies: CommaSeparated = Field(
        default=[],
        description="Networks (CIDR) of reverse proxies whose X-Forwarded-For is believed, comma-separated.",
    )
    waiting_connections_per_address: int = Field(
        default=100,
        ge=1,
        description="How many connections of one client address may wait for their client, that is for the rest of a"
        " request or for somebody who reads the answer. Of more, those that were silent for the longest are closed.",
    )
    registration_mode: Literal["open", "private"] = Field(
        default="open",
        description="open: who registers is a customer at once, and learns whether an address is known. private: the"
        " answer is the same for all, and the customer appears when the mailed link is used.",
    )
    sms_countries: CommaSeparated = Field(
        default=[],
        description="Countries that codes are texted to, as ISO 3166 codes, comma-separated. Unset, all; premium-rate"
        " numbers never.",
    )
    register_per_hour: int = Field(
        default=10,
        ge=1,
        le=_largest_count,
        description="How many people may register from one client address in an hour.",
    )
    texts_per_customer_per_day: int = Field(
        default=5, ge=1, le=1000, description="Codes texted for one customer in 24 hours, whatever the number."
    )
    mails_per_customer_per_day: int = Field(
        default=10, ge=1, le=1000, description="Links mailed to prove an address of one customer in 24 hours."
    )
    texts_per_day: int = Field(
        default=1000, ge=1, le=_largest_count, description="Codes texted in a store day, altogether."
    )
    mails_per_day: int = Field(
        default=20_000, ge=1, le=_largest_count, description="Links mailed in a store day, altogether."
    )
    customer_requests_per_minute: int = Field(
        default=300,
        ge=0,
        description="How many requests a customer may send in a minute after signing in, to each process; 0: no limit.",
    )
    staff_requests_per_minute: int = Field(
        default=3000, ge=0, description="The same for staff, analysts and administrators."
    )
    client_requests_per_minute: int = Field(
        default=60_000, ge=0, description="The same for an API client, behind which there may be many tills."
    )
    long_requests_per_minute: int = Field(
        default=60,
        ge=0,
        description="The same for imports, exports and calculations, of any caller; they count among the others too.",
    )
    session_check_seconds: float = Field(
        default=5,
        ge=0,
        le=5,
        description="How long a process takes a session for open before it asks the database again; 0 asks each time.",
    )
    client_secret_overlap_days: int = Field(
        default=7,
        ge=0,
        le=90,
        description="How long the old secret of an API client lives on after a new one was made.",
    )
    drain_seconds: float = Field(
        default=3,
        ge=0,
        le=60,
        description="How long a server that was told to stop goes on answering while /readyz already says no.",
    )
    import_max_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1, le=_largest_file, description="Largest order file taken over HTTP."
    )
    nightly_at: time | None = Field(
        default=time(3, 30),
        description="When the night's work is due, in the shop's time: points expire, metrics are checked, customers"
        " scored, tiers reviewed, the ledger audited. Done by the first worker from then on. Empty: never by itself.",
    )
    sync_max_customers: int = Field(
        default=100_000,
        ge=0,
        le=_largest_count,
        description="Work on more customers or rows than this becomes a job by itself.",
    )
    job_result_max_bytes: int = Field(
        default=1024 * 1024 * 1024,
        ge=1,
        le=_largest_file,
        description="Largest result of a job that is kept for its caller.",
    )
    idempotency_days: int = Field(
        default=7, ge=1, le=90, description="How long an answer is kept under its Idempotency-Key."
    )
    events_kept_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="How long what happened stays in the table `events`, for programs that follow it.",
    )

    adjust_limit_staff: int = Field(
        default=1000,
        ge=0,
        le=_largest_count,
        description="Most points that staff may add or subtract in one adjustment.",
    )

    customer_self_redeem: bool = Field(default=True, description="Whether customers may redeem their own points.")

    early_refunds: Literal["refuse", "hold"] = Field(
        default="refuse",
        description="What happens to a refund or cancellation that names an order by source and external_id which is"
        " not known yet. refuse: 404. hold: it is kept, and done when the order arrives.",
    )
    live_scoring: bool = Field(
        default=True,
        description="Whether scores, segment and lifetime value follow each order at once, by the edges of the latest"
        " full run.",
    )

    rfm_edges: Literal["quintiles", "fixed"] = Field(
        default="quintiles", description="Whether scores compare customers, or go by fixed thresholds."
    )
    rfm_fixed_thresholds: Annotated[list[Annotated[int, Field(ge=0, le=_largest_count)]], NoDecode] = Field(
        default=[1, 2, 3, 5],
        description="Frequency edges where edges are fixed: by rfm_edges, or below 5 ranked customers.",
    )
    rfm_fixed_recency_days: Annotated[list[Annotated[int, Field(ge=0, le=36_500)]], NoDecode] = Field(
        default=[365, 180, 90, 30], description="Recency edges used then, falling."
    )
    rfm_fixed_monetary: Annotated[list[Annotated[Decimal, Field(ge=0, lt=10**14)]], NoDecode] = Field(
        default=[Decimal(50), Decimal(100), Decimal(250), Decimal(500)], description="Monetary edges used then."
    )
    rfm_stale_days: Days = Field(default=7, description="A score older than this is stale.")
    clv_floor_days: Days = Field(
        default=90, description="Least age of a customer in the lifetime value formula, in days."
    )
    clv_lifespan_days: Days = Field(default=365, description="Lifespan that a segment's multiplier scales, in days.")
    clv_multipliers: Annotated[dict[str, Multiplier], NoDecode] = Field(
        default={}, description="Multipliers by segment that replace the defaults."
    )
    clv_method: Literal["seed", "model", "blend"] = Field(
        default="seed", description="How the command line and the nightly run make lifetime values."
    )
    clv_window_days: int = Field(
        default=365, ge=1, le=36_500, description="How far the methods `model` and `blend` look ahead, in days."
    )
    clv_margin: float = Field(default=1, gt=0, le=1, description="The part of the money that is kept, for a model.")
    clv_discount: float = Field(
        default=0, ge=0, le=1, description="What money is worth less for a year of waiting, for a model."
    )

    @field_validator(
        "allowed_hosts",
        "trusted_proxies",
        "sms_countries",
        "rfm_fixed_thresholds",
        "rfm_fixed_recency_days",
        "rfm_fixed_monetary",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        inside = value.strip().removeprefix("[").removesuffix("]") if value.strip().startswith("[") else value
        return [part.strip() for part in inside.split(",") if part.strip()]

    @field_validator("clv_multipliers", mode="before")
    @classmethod
    def _object(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            raise ValueError('must be a JSON object such as {"champion": 2.5}') from None

    # The last of the "before" validators is the first to run.
    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if not value.strip() and info.field_name not in _may_be_empty:
            raise ValueError("is empty")
        if "\0" in value or not setting_values.is_text(value):
            raise ValueError("holds what is no UTF-8 text")
        return value

    @field_validator("data_dir")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        try:
            value.resolve()
        except (OSError, RuntimeError):  # a symbolic link that leads to itself
            raise ValueError("must be the path of a folder") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else require_database_address(value)

    @field_validator("nightly_at", mode="before")
    @classmethod
    def _time_of_day(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("nightly_at")
    @classmethod
    def _without_offset(cls, value: time | None) -> time | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("must be a time of the shop's day such as 03:30, without an offset")
        return value

    _networks = field_validator("trusted_proxies")(setting_values.networks)
    _known_timezone = field_validator("store_timezone")(setting_values.timezone)
    _known_countries = field_validator("sms_countries")(setting_values.countries)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        minor_units(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _link_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if urlsplit(value).query or urlsplit(value).fragment:
            raise ValueError("must end with the path; it has a query or a fragment")
        return require_private_way(value).rstrip("/")

    @field_validator("sms_webhook_url")
    @classmethod
    def _private_way(cls, value: str | None) -> str | None:
        return None if value is None else require_private_way(value)

    @cached_property
    def clock(self) -> Clock:
        """The clock of the shop."""
        return Clock(ZoneInfo(self.store_timezone))


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        OperatorError: a setting has a value that cannot be used; says which, and does not repeat the value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        name = f"REGULARS_{str(first['loc'][0]).upper()}"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise OperatorError(f"{name} cannot be used: {reason}.", f"Correct or unset {name}.") from None
    except (OSError, UnicodeError):
        raise OperatorError("The file .env cannot be read.", "Let this user read it; it must be UTF-8 text.") from None
