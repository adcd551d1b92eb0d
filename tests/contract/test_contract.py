"""What the document promises holds for whatever is sent: Schemathesis makes requests of it, good and bad.

Found at any request: an answer of 5xx, a status or a media type that the operation does not document, a body that is
not as its schema says, a wrong request that is taken, a missing header that is not missed, a token that is not asked
for. REGULARS_CONTRACT_EXAMPLES sets how many requests each operation gets.
"""

import json
import os
from collections.abc import Mapping

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.contract.conftest import Shop
from tests.factories.api import document

examples = int(os.environ.get("REGULARS_CONTRACT_EXAMPLES", "12"))


schema = schemathesis.openapi.from_dict(document())

held = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.ignored_auth,
]


# Another method on these paths is one on the path beside it, for a thing of this name.
shadowed = {
    *(f"/api/v1/retail-customers/{name}" for name in ("register", "search", "export")),
    "/api/v1/orders/import",
    "/api/v1/retail-customers/{customer_id}/preferences/bulk",
}


@schemathesis.serializer("application/x-ndjson")
def _lines(_: SerializationContext, value: object) -> bytes:
    """One line for each element."""
    return b"\n".join(json.dumps(part).encode() for part in (value if isinstance(value, list) else [value]))


@pytest.fixture
def token(shop: Shop) -> str:
    return shop.token()


def aimed(case: Case, ids: Mapping[str, str]) -> Case:
    """Every other good request is about something that is there, so that it gets beyond `not-found`."""
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return case
    sent = [part for part in (case.path_parameters, case.body) if isinstance(part, dict)]
    for part in sent:
        for name in part.keys() & ids.keys():
            if isinstance(part[name], str) and hash(part[name]) % 2:
                part[name] = ids[name]
    return case


@schema.parametrize()
@settings(
    max_examples=examples,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_document_tells_the_truth(case: Case, shop: Shop, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    asked = [check for check in held if check is not checks.unsupported_method or case.path not in shadowed]
    aimed(case, shop.ids).call_and_validate(base_url=shop.url, headers=headers, checks=asked, timeout=30)
