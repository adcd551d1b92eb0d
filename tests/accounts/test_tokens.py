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


def test_a_secret_that_others_could_read_is_made_private_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = secret_of_installation(tmp_path)
    for mode in (0o644, 0o640, 0o602):
        (tmp_path / "jwt_secret").chmod(mode)
        caplog.clear()
        assert secret_of_installation(tmp_path) == made
        assert stat.S_IMODE((tmp_path / "jwt_secret").stat().st_mode) == 0o600
        assert "could be read by others" in caplog.text
        assert made.get_secret_value() not in caplog.text
    caplog.clear()
    secret_of_installation(tmp_path)
    assert not caplog.text


@pytest.mark.parametrize("content", [b"", b"CANARY7f3c9e", b"changeme" * 8, b"CANARY7f3c9e\xff" * 4])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jwt_secret").write_bytes(content)
    with pytest.raises(OperatorError, match=r"^The secret in ") as refusal:
        secret_of_installation(tmp_path)
    assert "CANARY" not in str(refusal.value)
    assert (tmp_path / "jwt_secret").read_bytes() == content


def test_a_secret_that_cannot_be_read_or_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret").mkdir()
    with pytest.raises(OperatorError, match=r"cannot be used \(Is a directory\)"):
        secret_of_installation(tmp_path)
    with pytest.raises(OperatorError, match=r"cannot be used \(File exists\)"):
        secret_of_installation(Path(__file__))
