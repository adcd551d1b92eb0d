"""The name under which a person signs in: the e-mail address, in the one spelling that customers' have too."""

from regulars.customers.identifiers import parse_email
from regulars.kit.validation import Validation


def login_name(email: str) -> str:
    """The address as it is stored. What is no address has no account, and stays as it is but for case and blanks."""
    try:
        return parse_email(email)
    except ValueError:
        return email.strip().lower()


def login_name_of_new_account(email: str) -> str:
    """The address as it is stored.

    Raises:
        Validation: not an e-mail address.
    """
    try:
        return parse_email(email)
    except ValueError as error:
        raise Validation.at("/email", "format", "must be an e-mail address such as name@example.com") from error
