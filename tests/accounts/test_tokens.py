import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from regulars.accounts.tokens import TokenSigner, hash_token, new_refresh_token, secret_of_installation
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings

good = "f3c1a0d2b4e6978812345678901234567890abcd"


def settings(**secrets: str) -> Settings:
    return Settings(_env_file=None, **secrets)


@pytest.mark.parametrize(
    "secret", [good[:31], "a" * 40, "changeme-changeme-changeme-changeme", "secret-of-the-documentation-1234567890"]
)
def test_a_secret_that_could_be_guessed_stops_the_start_up(secret: str) -> None:
    with pytest.raises(OperatorError, match="too short or a sample"):
        TokenSigner.from_settings(settings(jwt_secret=secret))
    with pytest.raises(OperatorError, match="too short or a sample"):
        TokenSigner.from_settings(settings(jwt_secret=good, jwt_secret_previous=secret))


def test_no_secret_stops_the_start_up() -> None:
    with pytest.raises(OperatorError, match="REGULARS_JWT_SECRET is not set"):
        TokenSigner.from_settings(settings())


def test_the_complaint_does_not_repeat_the_secret() -> None:
    with pytest.raises(OperatorError) as refusal:
        TokenSigner.from_settings(settings(jwt_secret="changeme-1234567890-1234567890-12"))
    assert "1234567890" not in str(refusal.value)


def test_refresh_tokens_are_random_and_kept_as_hashes() -> None:
    token, token_hash = new_refresh_token()
    assert len(token) >= 43
    assert token_hash == hash_token(token)
    assert new_refresh_token()[0] != token


def test_the_secret_of_an_installation_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets: set[SecretStr] = set(pool.map(secret_of_installation, [tmp_path / "data"] * 8))
    assert len(secrets) == 1
    assert len(secrets.pop().get_secret_value()) == 64
    (file,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
