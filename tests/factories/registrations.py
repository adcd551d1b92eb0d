"""What people send who register."""

from itertools import count
from typing import Any

register_url = "/api/v1/retail-customers/register"
confirm_url = f"{register_url}/confirm"
password = "SecurePass123"
seed_example: dict[str, Any] = {
    "first_name": "John", "last_name": "Doe", "email": "john@example.com", "phone": "+919876543210",
    "password": password, "city": "Mumbai", "email_marketing_consent": True,
}  # fmt: skip

_numbers = count(1)


def registration(**fields: Any) -> dict[str, Any]:
    """A registration with an address of its own; a field given as None is left out."""
    person = {"first_name": "Jane", "last_name": "Roe", "email": f"jane{next(_numbers)}@example.com"}
    return {name: value for name, value in {**person, "password": password, **fields}.items() if value is not None}
