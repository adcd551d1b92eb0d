"""Write docs/reference/settings.md from the settings themselves: `make docs`."""

from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from regulars.kit.settings import Settings

page = Path(__file__).with_suffix(".md")

introduction = """# Settings

Each is read from the environment, or from a file `.env` in the working directory; the environment wins. A value that
cannot be used stops the program at the start, with a line that names it. Lists are written with commas.

| variable | default | values | meaning |
|---|---|---|---|
"""

_words = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", Path: "path", SecretStr: "secret"}
_bounds = {Ge: "≥ {0.ge}", Gt: "> {0.gt}", Le: "≤ {0.le}", Lt: "< {0.lt}"}


def settings_page() -> str:
    """The page: a row for each setting, in the order of the code."""
    return introduction + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `REGULARS_{name.upper()}` | {_default(field)} | {_values(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    """What holds where nothing is set; a default that depends on the machine is said in the meaning."""
    if field.default is PydanticUndefined:
        made = field.default_factory() if field.default_factory else None  # type: ignore[call-arg]
        return "" if isinstance(made, Path) else _told(made)
    return _told(field.default)


def _told(value: Any) -> str:
    if value is None or value in ({}, []):
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{','.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def _values(field: FieldInfo) -> str:
    bounds = [_bounds[type(bound)].format(bound) for bound in field.metadata if type(bound) in _bounds]
    return " ".join([_type(field.annotation), *bounds]).strip()


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in {Union, UnionType}:
        return ", ".join(_type(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) in {list, tuple}:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return "JSON object"
    return _words.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


if __name__ == "__main__":
    page.write_text(settings_page(), encoding="utf-8")
