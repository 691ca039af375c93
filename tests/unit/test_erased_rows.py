"""Erased wallets and symbols leave a Parquet file, and everything else in it stays."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.channels import CHANNELS
from ticklake.lake.erased_rows import Found, look, reject_without_erased, write_without
from ticklake.lake.erasures import Erasure, Erasures, erasure_of_user
from ticklake.lake.errors import LakeError
from ticklake.lake.segments import SegmentWriter

A, B, C = (f"0x{digit * 40}" for digit in "aB7")
FILLS = "raw/fills/exchange=hyperliquid/date=2025-08-01/0.parquet"
TRADES = "raw/trades/exchange=x/symbol=S%2FT/date=2025-08-01/0.parquet"


def of(*users: str, symbols: tuple[tuple[str | None, str], ...] = ()) -> Erasures:
    erasures = [Erasure(symbol=symbol, exchange=exchange) for exchange, symbol in symbols]
    return Erasures.of(*map(erasure_of_user, users), *erasures)


def row(user: str = C, **values: Any) -> dict[str, Any]:
    return {
        "ts_event": 1_754_006_400_000_000,
        "user": user,
        "coin": "BTC",
        "hash": "0x" + "c" * 64,
    } | values


def segment(folder: Path, rows: list[dict[str, Any]], cut: int = 1000) -> Path:
    """Write rows of fills as landing does, a row group for each `cut` rows."""
    channel = CHANNELS["fills"]
    folder.mkdir()
    writer = SegmentWriter(folder)
    for start in range(0, len(rows), cut):
        table = pa.Table.from_pylist(rows[start : start + cut], channel.schema)
        writer.append(channel, ("hyperliquid",), table)
        for file in writer._files.values():
            file.write()
    (item,) = writer.finish()
    return item.file


def left(file: Path, erasures: Erasures, path: str = FILLS) -> list[dict[str, Any]]:
    target = file.with_name("left")
    count = write_without(file, target, path, erasures)
    rows = pq.read_table(target).to_pylist() if count else []
    assert len(rows) == count
    return rows


def test_rows_of_a_wallet_go_whatever_the_case_of_its_address(tmp_path: Path) -> None:
    file = segment(
        tmp_path / "s", [row(A, tid=1), row(A.upper().replace("X", "x"), tid=2), row(C, tid=3)]
    )
    erasures = of(A.replace("a", "A"))
    assert look(file, FILLS, erasures) == Found(rows=2)
    assert [item["tid"] for item in left(file, erasures)] == [3]


def test_short_addresses_of_made_up_data_are_told_apart(tmp_path: Path) -> None:
    file = segment(tmp_path / "s", [row("0xaa", tid=1), row("0xaaa", tid=2, builder="0xAA")])
    assert look(file, FILLS, of("0xAA")) == Found(rows=1, mentions=1)
    assert [(item["tid"], item["builder"]) for item in left(file, of("0xAA"))] == [(2, None)]


def test_rows_of_others_stay_without_the_mention(tmp_path: Path) -> None:
    rows = [
        row(C, tid=1, liquidation={"liquidatedUser": A, "markPx": "1.0", "method": "market"}),
        row(C, tid=2, builder=A, builderFee=Decimal("0.1")),
        row(C, tid=3, extra=json.dumps({"users": [A, B], "note": f"by {A}", A: 1})),
        row(C, tid=4, hash=A + "0" * 24, cloid=A[:34], builder=B),
    ]
    file = segment(tmp_path / "s", rows)
    assert look(file, FILLS, of(A)) == Found(mentions=3)
    before = pq.read_table(file).sort_by("tid").to_pylist()
    after = sorted(left(file, of(A)), key=lambda item: item["tid"])
    assert after[0] == before[0] | {
        "liquidation": {"liquidatedUser": None, "markPx": "1.0", "method": "market"}
    }
    assert after[1] == before[1] | {"builder": None}
    assert json.loads(after[2].pop("extra")) == {
        "users": [None, B],
        "note": "by erased",
        "erased": 1,
    }
    assert after[3] == before[3]  # other hexadecimal numbers that begin alike


def test_a_symbol_goes_by_the_path_or_else_by_its_column(tmp_path: Path) -> None:
    file = segment(tmp_path / "s", [row(coin="BTC"), row(coin="WBTC")])
    assert [item["coin"] for item in left(file, of(symbols=((None, "BTC"),)))] == ["WBTC"]
    assert look(file, FILLS, of(symbols=(("other", "BTC"),))) == Found()
    assert look(file, TRADES, of(symbols=(("x", "S/T"),))) == Found(rows=2)
    assert look(file, TRADES, of(symbols=(("x", "BTC"),))) == Found()  # a column is no symbol here
    assert left(file, of(symbols=((None, "S/T"),)), TRADES) == []


def test_other_tools_files_with_nested_text_and_dictionaries_are_read(tmp_path: Path) -> None:
    table = pa.table(
        {
            "User": pa.array([A, C, C]).dictionary_encode(),
            "parties": [[{"who": C}], [{"who": A}, {"who": B}], None],
            "tags": pa.array(
                [[("k", A)], [("k", B)], [("k", A)]], pa.map_(pa.string(), pa.string())
            ),
            "at": pa.array([1, 2, 3], pa.timestamp("ns")),
        }
    )
    file = tmp_path / "foreign.parquet"
    pq.write_table(table, file)
    assert look(file, FILLS, of(A)) == Found(rows=1, mentions=2)
    write_without(file, tmp_path / "left", FILLS, of(A))
    after = pq.read_table(tmp_path / "left")
    assert after.schema == table.schema
    assert after["User"].to_pylist() == [C, C]
    assert after["parties"].to_pylist() == [[{"who": None}, {"who": B}], None]
    assert after["tags"].to_pylist() == [[("k", B)], [("k", None)]]


users = st.sampled_from([A, B, C])
fills = st.builds(
    row,
    users,
    coin=st.sampled_from(["BTC", "ETH"]),
    builder=st.none() | users,
    extra=st.none() | users.map(lambda user: json.dumps({"users": [user]})),
    liquidation=st.none() | st.builds(dict, liquidatedUser=users, method=st.none() | st.just("m")),
)


@given(st.lists(fills, min_size=1, max_size=20), st.integers(1, 6))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_erasure_after_another_gives_the_bytes_of_both_at_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("erased")
    file = segment(folder / "s", rows, cut)
    first, second = of(A), of(B, symbols=((None, "ETH"),))
    both = Erasures(first.users | second.users, second.symbols)
    once = folder / "once"
    at_once = write_without(file, once, FILLS, both)
    counted = look(file, FILLS, both).rows
    assert len(rows) - at_once == counted
    after_first = write_without(file, folder / "first", FILLS, first)
    after_both = after_first and write_without(folder / "first", folder / "both", FILLS, second)
    assert after_both == at_once
    if at_once:
        assert sha256(folder / "both") == sha256(once)
        assert not look(once, FILLS, both)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_rejected_line_keeps_its_place_and_its_reason_and_loses_its_content() -> None:
    def line(**entry: Any) -> bytes:
        return (
            json.dumps(
                {"line": 3, "error_type": "BAD_VALUE", "message": f"of {B}"} | entry
            ).encode()
            + b"\n"
        )

    erased = b'{"line":3,"error_type":"BAD_VALUE","message":"erased"}\n'
    assert reject_without_erased(line(text=f'["{A}",{{"px":"x"}}]'), of(A)) == erased
    assert reject_without_erased(line(), of(B)) == erased
    assert reject_without_erased(line(base64="/zB4" + "YWFh" * 13 + "YQ=="), of(A)) == erased
    assert (
        reject_without_erased(line(event=[C, {"coin": "BTC"}]), of(symbols=((None, "BTC"),)))
        == erased
    )
    for kept in (line(text="no wallet"), line(event=[C, {"coin": "WBTC", "side": "BTC"}])):
        assert reject_without_erased(kept, of(A, symbols=((None, "BTC"),))) == kept


@pytest.mark.parametrize("address", ["", "0x", A + "0", "0x" + "g" * 40, A[2:]])
def test_what_is_not_the_address_of_a_wallet_is_refused(address: str) -> None:
    with pytest.raises(LakeError, match="is not the address of a wallet"):
        erasure_of_user(address)
