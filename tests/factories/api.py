"""The contract, of an application that nobody calls."""

from functools import cache
from typing import Any

from regulars.api.openapi import openapi_document
from regulars.app import create_app
from regulars.kit.settings import Settings


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document; the application's database is never opened."""
    secret = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718"
    database: Any = object()
    return openapi_document(create_app(Settings(_env_file=None, jwt_secret=secret), database=database))  # type: ignore[arg-type]
