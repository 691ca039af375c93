"""JSON that keeps numbers as they were written, and text that was rejected."""

import base64
import json
import math
from typing import Any, NoReturn


class NumberText(str):
    """A JSON number that is no integer, kept as it was written."""


def load(text: bytes) -> Any:
    """Return JSON with its numbers as they were written.

    Raises ValueError, with one short line, for what is no JSON, NaN and infinity, a name that is
    twice in one object, and text that is no Unicode.
    """
    try:
        content = json.loads(
            text.decode(),
            parse_float=NumberText,
            parse_constant=_refuse,
            object_pairs_hook=_unique,
        )
        if b"\\u" in text:
            dump(content).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0][:200]) from None
    return content


def dump(value: Any) -> str:
    """Return compact JSON in which every number is written as the source wrote it.

    What JSON does not have is written as text: times, decimals, bytes, NaN and infinity.
    """
    match value:
        case NumberText():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_name(key)}:{dump(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(dump, value)) + "]"
        case bytes():
            (text,) = verbatim(value).values()
            return dump(text)
        case float() if not math.isfinite(value):
            return json.dumps(str(value))
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _name(key: Any) -> str:
    return json.dumps(str(key), ensure_ascii=False)


def verbatim(text: bytes) -> dict[str, str]:
    """Return text that could not be used, as the fields of a reject."""
    try:
        return {"text": text.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(text).decode()}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return content
