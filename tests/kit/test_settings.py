"""Settings that are checked when they are read."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from regulars.cli.context import require_secret
from regulars.jobs.nightly import due_day
from regulars.kit.delivery import messenger_from
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings, load_settings
from regulars.privacy.erased_people import lasting_hashes


def test_countries_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_SMS_COUNTRIES", "de, AT")
    assert Settings(_env_file=None).sms_countries == ["DE", "AT"]


@pytest.mark.parametrize("text", ["Germany", "DE;AT", "XX"])
def test_what_is_no_country_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("REGULARS_SMS_COUNTRIES", text)
    with pytest.raises(ValidationError, match="ISO 3166"):
        Settings(_env_file=None)


canary = "CANARY7f3c9e"
malformed = (
    canary,
    f"postgresql+psycopg://shop:{canary}@db/shop",
    f"mysql://shop:{canary}@db",
    f"postgresql://shop:{canary}%@db/shop",
    f"postgresql://shop:p@{canary}@127.0.0.1:1/shop",
    f"postgresql://shop:{canary}/x@127.0.0.1:1/shop",
    f"postgresql://shop:12/{canary}@127.0.0.1:1/shop",
    f"postgresql://shop:{canary}@[::1/shop",
    f"postgresql://shop:{canary} x@127.0.0.1:1/shop",
    f"postgresql://127.0.0.1:1/shop?password={canary}&foo=bar",
    f"host=127.0.0.1 port=1 password={canary} foo=bar",
    f"host=127.0.0.1 port=1 password=x {canary}",
    f"host='{canary}",
    f"smtps://shop:{canary}@mail:99999",
    f"smtps://shop:{canary}/x@mail",
    f"smtp+insecure://shop:{canary}@mail",
    f"https://shop:{canary}@texts.example",
    f"http://texts.example/?key={canary}",
    f"https://texts.example:{canary}/",
    f"{canary} {canary} {canary} {canary}\n",
    f"{canary}\udcff{canary}{canary}{canary}",
    f"{canary}ü{canary}{canary}{canary}",
    f"[{canary}",
    f'{{"{canary}": "x"}}',
    "",
    " ",
    "%",
    "[1,",
    "{}",
    "NaN",
    "inf",
    "-1",
    "0",
    "1e400",
    "9" * 20,
    "99:99",
    "x" * 5_000,
)
needed = {"REGULARS_JWT_SECRET": "f3c1a0d2b4e6978812345678901234567890abcd"}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_no_value_of_a_setting_is_a_traceback_or_is_repeated(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What commands read from the settings before they do anything, with values that cannot be used."""
    monkeypatch.chdir(tmp_path)
    for variable, value in needed.items():
        monkeypatch.setenv(variable, value)
    refusals: list[str] = []
    for value in malformed:
        monkeypatch.setenv(f"REGULARS_{name.upper()}", value)
        try:
            use(load_settings())
        except OperatorError as error:
            refusals.append(str(error))
    assert refusals
    assert not [refusal for refusal in refusals if canary in refusal or f"REGULARS_{name.upper()}" not in refusal]
    assert canary not in "".join(capfd.readouterr())
    assert not list(tmp_path.iterdir())


def use(settings: Settings) -> None:
    require_secret(settings)
    lasting_hashes(settings).of("canary", "text")
    messenger_from(settings)
    now = settings.clock.now()
    due_day(settings, now)
    for days in (settings.events_kept_days, settings.idempotency_days, settings.anonymise_inactive_after_days or 0):
        assert now - timedelta(days=days)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://shop@db.internal/shop",
        "postgresql://shop:p%40ss%25%2F@db:5433/shop?sslmode=require",
        "postgres://a:b@h1:1,h2/shop?target_session_attrs=read-write",
        "postgresql://postgres@/regulars?host=%2Fsrv%2Fdata%2Fsocket&port=5432",
        "postgresql://db/shop?user=shop@tenant&password=x",
        "host=/run/postgresql dbname=shop password='a @b'",
        "dbname=shop",
    ],
)
def test_every_form_of_an_address_that_libpq_knows_is_taken(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", address)
    assert Settings(_env_file=None).database_url == address


def test_lists_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_RFM_FIXED_THRESHOLDS", "1, 2,3,8")
    monkeypatch.setenv("REGULARS_RFM_FIXED_MONETARY", "[10.50, 20]")
    settings = Settings(_env_file=None)
    assert settings.rfm_fixed_thresholds == [1, 2, 3, 8]
    assert settings.rfm_fixed_monetary == [Decimal("10.50"), Decimal(20)]


def test_a_settings_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"REGULARS_CURRENCY=\xff\xfe\n")
    with pytest.raises(OperatorError, match=r"^The file \.env cannot be read"):
        load_settings()
