"""Changes for many customers at once."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from regulars.kit.bulk import Atomic, Ids
from regulars.kit.schemas import RequestSchema, Tags, Text, broken_rule


class BulkCustomerStatusUpdate(RequestSchema):
    """Activate or deactivate."""

    customer_ids: Ids
    is_active: bool
    reason: Annotated[str, Text(500)] | None = Field(default=None, description="Kept in the audit log.")
    atomic: Atomic = False


class BulkTagUpdate(RequestSchema):
    """Add tags, remove tags, or both."""

    customer_ids: Ids
    add: Tags = Field(default=[], examples=[["vip"]])
    remove: Tags = Field(default=[], examples=[["prospect"]])
    atomic: Atomic = False

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        if not self.add and not self.remove:
            raise broken_rule("missing", "add or remove is required", "add", "remove")
        if set(self.add) & set(self.remove):
            raise broken_rule("range", "add and remove must not share a tag", "add", "remove")
        return self
