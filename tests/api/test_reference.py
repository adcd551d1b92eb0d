"""The page that tells people the contract."""

import re
from html.parser import HTMLParser

import httpx
import pytest
from fastapi import FastAPI

from regulars.api.openapi import openapi_document
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.settings import Settings
from tests.api.conftest import client_of
from tests.conftest import RolledBackDatabase

url = "/api/v1/docs"


class Page(HTMLParser):
    """Ids, links and addresses of a page, and whether every element is closed."""

    void = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [value for value in [found.get("id")] if value]
        self.links += [value for value in [found.get("href")] if value]
        self.sources += [value for value in [found.get("src")] if value]
        if tag not in self.void:
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
async def page(client: httpx.AsyncClient) -> Page:
    answer = await client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Page(answer.text)


async def test_every_operation_and_every_schema_is_on_the_page_once(app: FastAPI, page: Page) -> None:
    document = openapi_document(app)
    operations = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert set(operations) <= set(page.ids)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


async def test_every_link_leads_somewhere_and_nothing_is_fetched(page: Page) -> None:
    inside = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids)
    assert [link for link in page.links if not link.startswith("#")] == ["openapi.json"]
    assert page.sources == []
    assert page.tags == []


async def test_no_script_may_run_and_only_its_own_style_applies(client: httpx.AsyncClient) -> None:
    answer = await client.get(url)
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = re.search(r"<style>(.*)</style>", answer.text, re.DOTALL)
    assert style
    assert "url(" not in style[1]


async def test_an_operation_tells_its_scope_its_parameters_and_what_it_may_refuse(page: Page) -> None:
    for told in ("loyalty:redeem", "insufficient-points", "Idempotency-Key", "must be", "Public: no token needed."):
        assert told in page.text


async def test_the_page_is_as_public_as_the_document(
    settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    settings = settings.model_copy(update={"openapi_public": False})
    async with client_of(create_app(settings, database=database, clock=clock)) as stranger:  # type: ignore[arg-type]
        assert [(await stranger.get(path)).status_code for path in (url, "/api/v1/openapi.json")] == [401, 401]
