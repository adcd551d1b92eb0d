"""What the domain refuses, as a line for the operator. None of them repeats what was typed."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from regulars.accounts.errors import LastAdmin, WeakPassword
from regulars.accounts.passwords import shortest_password
from regulars.accounts.roles import scopes_of
from regulars.customers.errors import EmailTaken
from regulars.kit.errors import NotFound, OperatorError
from regulars.kit.validation import Validation


@contextmanager
def in_words(not_found: str) -> Iterator[None]:
    """Turn refusals into what is wrong and how to mend it.

    Args:
        not_found: What to say when there is no such thing: two sentences.

    Raises:
        OperatorError: the block was refused.
    """
    try:
        yield
    except WeakPassword as error:
        raise OperatorError(error.title(), _stronger[str(error.facts["rule"])]) from error
    except EmailTaken as error:
        raise OperatorError("Somebody signs in under this e-mail address already.", "Use another.") from error
    except LastAdmin as error:
        raise OperatorError("This is the last administrator.", "Make another one first.") from error
    except NotFound as error:
        what, _, mend = not_found.partition(". ")
        raise OperatorError(f"{what}.", mend) from error
    except Validation as error:
        raise OperatorError(*_mistakes[error.pointers()[0]]) from error
    except ValidationError as error:
        raise OperatorError(*_mistakes[f"/{error.errors()[0]['loc'][0]}"]) from error


_cap = ("A cap is a number of points.", "Use 1 or more, or leave it out.")
_mistakes = {
    "/email": ("This is no e-mail address.", "Use one such as name@example.com."),
    "/role": ("The login of a customer stays one.", "Add a login of the staff with `regulars users create`."),
    "/name": ("A name has 1 to 100 characters.", "Use one such as 'till 4'."),
    "/source": ("A source has 1 to 50 letters, digits, dots, hyphens and underscores.", "Use one such as webshop."),
    "/scopes": ("A program cannot have this scope.", f"Choose from: {', '.join(sorted(scopes_of('service')))}."),
    "/max_points_per_transaction": _cap,
    "/max_points_per_day": _cap,
}
_stronger = {
    "too_short": f"Choose one of {shortest_password('staff')} characters or more; a sentence will do.",
    "breached": "It is on the lists that are tried first; choose another.",
    "context": "It is made of the shop's name or the address; choose another.",
}
