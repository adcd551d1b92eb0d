"""The filters of the API as an operator types them: `city=Berlin`, a list by repeating it."""

from collections.abc import Sequence

from pydantic import ValidationError

from regulars.api.faults import faults_of
from regulars.customers.schemas_search import RetailCustomerListQuery
from regulars.kit.errors import OperatorError

_names = frozenset(RetailCustomerListQuery.model_fields) - {"sort", "limit", "offset"}


def parse_filters(given: Sequence[str], **options: object) -> RetailCustomerListQuery:
    """The filters and how to sort and page.

    Args:
        given: `NAME=VALUE`, the name of a field of `RetailCustomerSearchFilters`.
        options: `sort`, `limit` and `offset`, which have options of their own.

    Raises:
        OperatorError: no such filter, given twice although it takes one value, or a value that it does not take.
    """
    values: dict[str, object] = dict(options)
    for text in given:
        name, value = _parsed(text)
        if _is_list(name):
            values[name] = [*_texts(values.get(name)), value]
        elif name in values:
            raise OperatorError(f"The filter {name} is given twice.", "It takes one value.")
        else:
            values[name] = value
    try:
        return RetailCustomerListQuery.model_validate(values)
    except ValidationError as error:
        fault = faults_of({**found, "loc": ("query", *found["loc"])} for found in error.errors())[0]
        raise OperatorError(
            f"The value of {fault.pointer.strip('/')} cannot be used.", f"It {fault.message}."
        ) from error


def _parsed(text: str) -> tuple[str, str]:
    """The name of a filter that there is, and the value that is given for it."""
    name, equals, value = text.partition("=")
    if name not in _names:
        raise OperatorError(f"There is no filter {name!r}.", f"Use one of: {', '.join(sorted(_names))}.")
    if not equals:
        raise OperatorError(f"The filter {name} has no value.", f"Write it as {name}=VALUE.")
    return name, value


def _is_list(name: str) -> bool:
    return isinstance(RetailCustomerListQuery.model_fields[name].default, list)


def _texts(values: object) -> list[object]:
    return values if isinstance(values, list) else []
