"""The sides of a book: from flat columns, nested lists or text to lists of price and size.

Text is JSON, or what Python prints for the same. A side is a list of levels, `[price, size]` or an
object with both, or one object from price to size.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders import values
from loaders.channels import LEVELS
from loaders.values import PLAIN, Notation, Values

Doubles = npt.NDArray[np.float64]

LEVEL_COLUMNS: Final = ("bid_price", "bid_size", "ask_price", "ask_size")
"""What a mapping can give a pattern for."""

_PRICE: Final = ("price", "px", "p")
_SIZE: Final = ("size", "amount", "qty", "quantity", "volume", "vol", "sz", "q")
_WHAT: Final = "|".join((*_PRICE, *_SIZE))
_PATTERNS: Final = (
    # bid_price_1, bid_px_00, bidPrice1
    re.compile(rf"(?P<side>bid|ask)s?[_.]?(?P<what>{_WHAT})[_.]?(?P<level>\d+)", re.IGNORECASE),
    # bids[0].price, bid_0_price, bid1_size, bids.0.amount
    re.compile(
        rf"(?P<side>bid|ask)s?[\[_.]?(?P<level>\d+)\]?[_.]?(?P<what>{_WHAT})", re.IGNORECASE
    ),
)

_DECIMAL_CALL: Final = re.compile(r"Decimal\(('[^']*'|\"[^\"]*\")\)")


@dataclass(frozen=True, slots=True)
class Level:
    """The two columns of one level."""

    price: str
    size: str

    @property
    def columns(self) -> tuple[str, str]:
        """Both of them."""
        return self.price, self.size


def find_levels(side: str, names: Sequence[str], wanted: Mapping[str, Any]) -> list[Level]:
    """Return the columns of the levels of `bids` or `asks`, best first.

    `wanted` may hold patterns with `{}` for the level, under `bid_price`, `bid_size` and so on. A
    level without a price or without a size is not a level.
    """
    found: dict[str, dict[int, str]] = {"price": {}, "size": {}}
    patterns = {what: wanted.get(f"{side[:-1]}_{what}") for what in found}
    for name in names:
        for what, pattern in patterns.items():
            if pattern is not None:
                head, _, tail = pattern.partition("{}")
                shape = re.fullmatch(rf"{re.escape(head)}(\d+){re.escape(tail)}", name)
                if shape:
                    found[what].setdefault(int(shape[1]), name)
        for expression in _PATTERNS:
            shape = expression.fullmatch(name)
            if shape and side.startswith(shape["side"].lower()):
                what = "price" if shape["what"].lower() in _PRICE else "size"
                if patterns[what] is None:
                    found[what].setdefault(int(shape["level"]), name)
    numbers = sorted(found["price"].keys() & found["size"].keys())
    return [Level(found["price"][number], found["size"][number]) for number in numbers]


def flat_levels(
    table: pa.Table, levels: Sequence[Level], price: Notation = PLAIN, size: Notation = PLAIN
) -> Values:
    """Return the lists of one side. A level without a price is left out."""
    shape = (table.num_rows, len(levels))
    prices, sizes = np.empty(shape), np.empty(shape)
    bad = np.zeros(table.num_rows, bool)
    for place, level in enumerate(levels):
        for name, target, notation in ((level.price, prices, price), (level.size, sizes, size)):
            found = values.doubles(table[name], notation)
            target[:, place] = found.array.fill_null(np.nan).to_numpy(zero_copy_only=False)
            if found.bad is not None:
                bad |= found.bad
    there = ~np.isnan(prices)
    bad |= (there & np.isnan(sizes)).any(axis=1)
    there[bad] = False
    offsets = np.concatenate(([0], np.cumsum(there.sum(axis=1))))
    return Values(_lists(offsets, prices[there], sizes[there]), bad if bad.any() else None)


def nested_levels(
    column: pa.Array, side: str, price: Notation = PLAIN, size: Notation = PLAIN
) -> Values:
    """Return the lists of `bids` or `asks` from lists of pairs or structs, from maps, or from text.

    Of a list the first is the price and the second the size; more is ignored. What goes from price
    to size has no order, so its levels are sorted, best first.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(column, side, price, size)
    is_map = pa.types.is_map(kind)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or is_map):
        present = column.is_valid().to_numpy(zero_copy_only=False)
        return Values(pa.nulls(len(column), LEVELS), present)
    offsets = column.offsets.to_numpy().astype(np.int64)
    begin, count = offsets[0], offsets[-1] - offsets[0]
    offsets = offsets - begin
    if is_map:
        prices = _doubles(column.keys.slice(begin, count), price)
        sizes = _doubles(column.items.slice(begin, count), size)
        rows = np.repeat(np.arange(len(column)), np.diff(offsets))
        order = np.lexsort((-prices if side == "bids" else prices, rows))
        prices, sizes = prices[order], sizes[order]
    else:
        prices, sizes = _pairs(column.values.slice(begin, count), price, size)
    sums = np.concatenate(([0], np.cumsum(np.isnan(prices) | np.isnan(sizes))))
    bad = sums[offsets[1:]] > sums[offsets[:-1]]
    if not bad.any():
        return Values(_lists(offsets, prices, sizes))
    counts = np.where(bad, 0, np.diff(offsets))
    kept = np.repeat(~bad, np.diff(offsets))
    return Values(_lists(np.concatenate(([0], np.cumsum(counts))), prices[kept], sizes[kept]), bad)


def _pairs(inner: pa.Array, price: Notation, size: Notation) -> tuple[Doubles, Doubles]:
    """Return the prices and sizes of levels, NaN for a level that is missing."""
    kind = inner.type
    none = np.full(len(inner), np.nan)
    if pa.types.is_struct(kind):
        names = {kind.field(place).name.lower(): place for place in range(kind.num_fields)}
        fields = [
            next((names[name] for name in known if name in names), None)
            for known in (_PRICE, _SIZE)
        ]
        if None in fields:
            return none, none
        columns = [pc.struct_field(inner, [field]) for field in fields]
        return _doubles(columns[0], price), _doubles(columns[1], size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.list_value_length(inner).fill_null(0).to_numpy(zero_copy_only=False)
        is_pair = lengths >= 2
        pairs = inner.filter(pa.array(is_pair))
        prices, sizes = none.copy(), none.copy()
        prices[is_pair] = _doubles(pc.list_element(pairs, 0), price)
        sizes[is_pair] = _doubles(pc.list_element(pairs, 1), size)
        return prices, sizes
    return none, none


def _doubles(column: pa.Array, notation: Notation) -> Doubles:
    found = values.doubles(column, notation)
    array: Doubles = found.array.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return array


def _from_text(column: pa.Array, side: str, price: Notation, size: Notation) -> Values:
    rows: list[list[dict[str, float]]] = []
    bad = np.zeros(len(column), bool)
    for row, text in enumerate(column.to_pylist()):
        levels = []
        try:
            book = _parsed(text) if text and text.strip() else []
            pairs = [*book.items()] if isinstance(book, dict) else [*map(_pair, _list(book))]
            levels = [
                {"price": _double(level[0], price), "size": _double(level[1], size)}
                for level in pairs
            ]
            if isinstance(book, dict):
                levels.sort(key=lambda level: level["price"], reverse=side == "bids")
        except (ValueError, ArithmeticError):
            levels, bad[row] = [], True
        rows.append(levels)
    return Values(pa.array(rows, LEVELS), bad if bad.any() else None)


def _parsed(text: str) -> Any:
    """Return JSON, or what Python prints for the same. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        try:
            return ast.literal_eval(_DECIMAL_CALL.sub(r"\1", text.strip()))
        except (SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError("neither JSON nor what Python prints") from None


def _list(book: Any) -> Sequence[Any]:
    if not isinstance(book, list | tuple):
        raise ValueError("not a list of levels")
    return book


def _pair(level: Any) -> tuple[Any, Any]:
    if isinstance(level, dict):
        lower = {str(name).lower(): value for name, value in level.items()}
        found = [
            next((lower[name] for name in known if name in lower), None)
            for known in (_PRICE, _SIZE)
        ]
        return found[0], found[1]
    if not isinstance(level, list | tuple) or len(level) < 2:
        raise ValueError("not a price and a size")
    return level[0], level[1]


def _double(value: Any, notation: Notation) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not a number")
    if notation == PLAIN and not isinstance(value, str):
        return values.finite(value)
    return values.double(str(value), notation)


def _lists(offsets: Any, prices: Doubles, sizes: Doubles) -> pa.Array:
    levels = pa.StructArray.from_arrays(
        [pa.array(prices, pa.float64()), pa.array(sizes, pa.float64())],
        fields=list(LEVELS.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), levels, type=LEVELS)
