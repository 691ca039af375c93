"""JSON that keeps numbers as they were written, and text that was rejected."""

import base64
import json
from typing import Any


class NumberText(str):
    """A JSON number that is no integer, kept as it was written."""


def dump(value: Any) -> str:
    """Return compact JSON in which every number is written as the source wrote it."""
    match value:
        case NumberText():
            return str(value)
        case dict():
            return "{" + ",".join(f"{dump(key)}:{dump(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(dump, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def verbatim(text: bytes) -> dict[str, str]:
    """Return text that could not be used, as the fields of a reject."""
    try:
        return {"text": text.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(text).decode()}
