"""`ticklake land binance`, from the command line to what lies in the lake."""

import csv
import hashlib
import http.server
import io
import json
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loaders import decode, worker
from loaders import http as http_source
from loaders.binance.archive import CHANNELS, Series, days_of
from loaders.binance.layouts import columns_of
from loaders.channels import CHANNELS as RAW
from tests.s3.faults import FaultProxy
from ticklake.cli import main
from ticklake.lake.storage import Storage

Lake = Any  # the fixture of tests/conftest.py

MS = 1_754_006_400_000  # 2025-08-01
DAY_MS = 86_400_000
ON_S3 = pytest.mark.parametrize("lake", [pytest.param("s3", marks=pytest.mark.s3)], indirect=True)
ON_DISK = pytest.mark.parametrize("lake", ["local"], indirect=True)  # where S3 adds nothing
TRADES = Series("um", "trades", "BTCUSDT")
HEADER = ",".join(column.name for column in columns_of("um", "trades")[:6])


def trades(period: str, count: int = 3, unit: int = 1) -> str:
    """Return trades of the first days of a period, which begins at the first of them."""
    first = datetime.fromisoformat(days_of(period)[0]).replace(tzinfo=UTC)
    begin = int(first.timestamp()) * 1000
    return "".join(
        f"{begin // DAY_MS * count + number},115637.{number},0.00{number},{number}.5,"
        f"{(begin + number) * unit},{'true' if number % 2 else 'false'}\n"
        for number in range(1, count + 1)
    )


def one_a_day(month: str, *, without: Sequence[str] = ()) -> str:
    """Return a trade of each day of a month."""
    return "".join(trades(day, 1) for day in days_of(month) if day not in without)


class Mirror:
    """A directory laid out as the archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def put(
        self, series: Series, period: str, text: str | bytes, *, checksum: str | None = ""
    ) -> Path:
        """Write a ZIP of one CSV; `checksum` is written in place of its own, or none is."""
        file = self.root / series.path(period)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(file.stem + ".csv"), text)
        return self.put_bytes(series, period, buffer.getvalue(), checksum=checksum)

    def put_bytes(
        self, series: Series, period: str, data: bytes, *, checksum: str | None = ""
    ) -> Path:
        file = self.root / series.path(period)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if checksum is not None:
            checksum = checksum or hashlib.sha256(data).hexdigest()
            Path(f"{file}.CHECKSUM").write_text(f"{checksum}  {file.name}\n")
        return file


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "source")


Land = Callable[..., Result]


@pytest.fixture
def land(lake: Lake, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    """Run the command in this process on one worker, unless told otherwise."""
    for name, value in {"LAKE_ROOT": lake.root, **lake.env}.items():
        monkeypatch.setenv(name, value)

    def run(
        series: Series,
        *arguments: str,
        days: tuple[str, str] | None = ("20250801", "20250801"),
        source: str | None = None,
        workers: int = 1,
    ) -> Result:
        line = ["land", "binance", "--market", series.market, "--data", series.data]
        line += ["--symbols", series.symbol, "--source", source or str(mirror.root)]
        line += ["--interval", series.interval] if series.interval else []
        line += ["--start", days[0], "--end", days[1]] if days else []
        return CliRunner().invoke(main, [*line, "--workers", str(workers), *arguments])

    worker._storage.cache_clear()
    yield run
    worker._storage.cache_clear()


def content(storage: Storage, prefix: str = "") -> dict[str, str]:
    """Return the hash of every object."""
    return {
        entry.path: hashlib.sha256(storage.read(entry.path)).hexdigest()
        for entry in storage.entries(prefix)
    }


def rows(lake: Lake, channel: str, columns: str = "*", order: str = "all") -> list[Any]:
    urls = sorted(lake.storage.url(entry.path) for entry in lake.storage.entries(f"raw/{channel}"))
    query = f"select {columns} from read_parquet(?, hive_partitioning = true) order by {order}"
    return lake.connect().execute(query, [urls]).fetchall()  # type: ignore[no-any-return]


def landed(lake: Lake) -> list[str]:
    """Return the names in the ledger."""
    names = (entry.path for entry in lake.storage.entries("raw/_ledger/binance"))
    return sorted(Path(name).stem for name in names)


def error_of(lake: Lake, series: Series, period: str = "2025-08-01") -> dict[str, Any]:
    folder = f"quarantine/binance/{series.name(period)}"
    loaded: dict[str, Any] = json.loads(lake.storage.read(f"{folder}/error.json"))
    return loaded


def test_a_real_month_of_klines_lands_to_the_last_digit(
    lake: Lake, land: Land, mirror: Mirror, shared_data: Path
) -> None:
    text = (shared_data / "binance_klines/NEARUSDT-1m-2026-06.csv").read_text()
    near = Series("um", "klines", "NEARUSDT", "1m")
    mirror.put(near, "2026-06", text)
    result = land(near, days=("20260601", "20260630"))
    assert result.exit_code == 0, result.output
    assert "43,200 rows" in result.output
    names = RAW["klines"].schema.names[:-1]
    numeric = {"open", "high", "low", "close"} | {name for name in names if "volume" in name}

    def published(name: str, value: str) -> Any:
        if name.endswith("_time"):
            return int(value) * 1000
        return Decimal(value) if name in numeric else int(value) if name == "count" else value

    expected = [
        tuple(published(name, line[name]) for name in names)
        for line in csv.DictReader(io.StringIO(text))
    ]
    columns = ", ".join(f"epoch_us({name})" if "_time" in name else f'"{name}"' for name in names)
    assert rows(lake, "klines", columns, "open_time") == expected
    assert rows(lake, "klines", 'distinct exchange, symbol, "interval", "month"') == [
        ("binance-futures", "NEARUSDT", "1m", "2026-06")
    ]
    (segment,) = lake.storage.entries("raw/klines")
    assert segment.path.endswith("/um-NEARUSDT-klines-1m-2026-06.parquet")


KLINE = f"{MS},1.0,1.3,0.9,1.10,12.5,{MS + 59_999},13.75,4,6.25,6.875,0\n"
ONE_LINE = {
    "klines": KLINE,
    "trades": f"1,1.5,2.5,3.75,{MS},true\n",
    "aggTrades": f"1,1.5,2.5,7,9,{MS},true\n",
    "fundingRate": f"{MS},8,0.00010000\n",
    "markPriceKlines": KLINE,
    "bookTicker": f"5,1.1,2,1.2,3,{MS},{MS + 3}\n",
}


@ON_DISK
@pytest.mark.parametrize("market", ["um", "cm"])
@pytest.mark.parametrize("data", CHANNELS)
def test_each_kind_lands_alike_with_and_without_a_header(
    lake: Lake, land: Land, mirror: Mirror, market: str, data: str
) -> None:
    series = Series(market, data, "BTCUSD_PERP", "1m" if "lines" in data else None)
    line = ONE_LINE[data]
    names = [column.name for column in columns_of(market, data)[: line.count(",") + 1]]
    found = []
    for header in ("", ",".join(names) + "\n", "\ufeff" + ",".join(names) + "\r\n"):
        mirror.put(series, "2025-08-01", header + line)
        result = land(series, "--force")
        assert result.exit_code == 0, result.output
        assert "1 rows" in result.output
        found.append(content(lake.storage, f"raw/{CHANNELS[data]}"))
    assert len(found[0]) == 1
    assert found[0] == found[1] == found[2]
    mirror.put(series, "2025-08-01", ",".join(names) + "\n")
    assert "0 rows" in land(series).output


def test_trades_have_an_aggressor_and_exact_numbers(lake: Lake, land: Land, mirror: Mirror) -> None:
    large = "99999999999999.123456789012"
    lines = f"1,1E-8,0.00000001,0,{MS},true\n2,0.5,{large},0,{MS},false\n"
    mirror.put(TRADES, "2025-08-01", f"{HEADER}\n{lines}")
    assert land(TRADES).exit_code == 0
    assert rows(lake, "trades", "trade_id, price, size, side, first_id, extra") == [
        ("1", Decimal("1E-8"), Decimal("1E-8"), "sell", None, None),
        ("2", Decimal("0.5"), Decimal(large), "buy", None, None),
    ]
    where = [("binance-futures", "BTCUSDT", "2025-08-01")]
    assert rows(lake, "trades", "distinct exchange, symbol, date::varchar") == where


def test_spot_files_in_milliseconds_in_microseconds_and_in_both(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    spot = Series("spot", "trades", "BTCUSDT")
    mirror.put(spot, "2024-12-31", trades("2024-12-31"))
    mirror.put(spot, "2025-01-01", trades("2025-01-01", unit=1000))
    mirror.put(spot, "2025-01-02", trades("2025-01-02", 1) + trades("2025-01-02", 2, 1000))
    assert land(spot, days=("20241231", "20250102")).exit_code == 0
    found = rows(lake, "trades", "exchange, date::varchar, epoch_ms(ts_event)")
    assert found == [
        ("binance", day, 1_735_603_200_000 + index * DAY_MS + late)
        for index, (day, lates) in enumerate(
            [("2024-12-31", (1, 2, 3)), ("2025-01-01", (1, 2, 3)), ("2025-01-02", (1, 1, 2))]
        )
        for late in lates
    ]


def test_bad_lines_are_set_aside_with_their_place_and_the_rest_lands(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    good = trades("2025-08-01", 2)
    bad = ["9,1.5", f"9,1.0000000000001,1,1,{MS},true", "9,1,1,1,17,true", f"9,1,1,1,{MS},no"]
    mirror.put(TRADES, "2025-08-01", f"{HEADER}\n{good}" + "".join(f"{line}\n" for line in bad))
    result = land(TRADES)
    assert result.exit_code == 1
    assert "BAD_NUMBER 1, BAD_TIME 1, BAD_VALUE 1, WRONG_COLUMN_COUNT 1" in result.output
    assert len(rows(lake, "trades")) == 2
    path = f"quarantine/binance/{TRADES.name('2025-08-01')}/rejected.jsonl"
    rejects = [json.loads(line) for line in lake.storage.read(path).splitlines()]
    assert [(item["line"], item["text"]) for item in rejects] == list(enumerate(bad, 4))
    mirror.put(TRADES, "2025-08-01", good)
    assert land(TRADES).exit_code == 0
    assert content(lake.storage, "quarantine") == {}


@ON_DISK
def test_a_large_file_is_read_in_pieces_and_its_lines_are_counted_through(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    lines = trades("2025-08-01", 200_000).splitlines()
    lines[150_000] = "oops"
    text = "\n".join([HEADER, *lines])
    assert len(text) > 2 * decode.CHUNK_SIZE
    mirror.put(TRADES, "2025-08-01", text)
    assert "199,999 rows" in land(TRADES).output
    path = f"quarantine/binance/{TRADES.name('2025-08-01')}/rejected.jsonl"
    reject = json.loads(lake.storage.read(path))
    assert (reject["line"], reject["text"]) == (150_002, "oops")
    found = rows(lake, "trades", "count(*), count(distinct trade_id), sum(price)")
    good = [line.split(",") for line in lines if line != "oops"]
    assert found == [(199_999, 199_999, sum(Decimal(price) for _, price, *_ in good))]


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return buffer.getvalue()


WHOLE = zipped(trades="".join(trades("2025-08-01", 500)))
FLIPPED = WHOLE[:200] + bytes([WHOLE[200] ^ 0xFF]) + WHOLE[201:]
OTHER_SUM = "0" * 64


@pytest.mark.parametrize(
    ("data", "checksum", "error_type"),
    [
        (WHOLE, OTHER_SUM, "CHECKSUM_MISMATCH"),
        (b"", OTHER_SUM, "CHECKSUM_MISMATCH"),
        (WHOLE, "not a sum", "CHECKSUM_UNREADABLE"),
        (WHOLE[:-100], None, "ZIP_TRUNCATED"),
        (WHOLE[: len(WHOLE) // 2], "", "ZIP_TRUNCATED"),
        (FLIPPED, None, "ZIP_CORRUPT"),
        (b"<html>Sorry</html>", None, "NOT_A_ZIP"),
        (b"", None, "NOT_A_ZIP"),
        (zipped(), None, "ZIP_MEMBERS"),
        (zipped(one="1,1,1,1,1,true\n", two=""), None, "ZIP_MEMBERS"),
        (zipped(one="id,price,time\n"), None, "BAD_HEADER"),
        (zipped(one="1,2,3\n"), None, "BAD_HEADER"),
    ],
)
@ON_DISK
def test_an_object_that_cannot_be_used_is_set_aside_whole(
    lake: Lake, land: Land, mirror: Mirror, data: bytes, checksum: str | None, error_type: str
) -> None:
    mirror.put_bytes(TRADES, "2025-08-01", data, checksum=checksum)
    mirror.put(TRADES, "2025-08-02", trades("2025-08-02"))
    result = land(TRADES, days=("20250801", "20250802"))
    assert result.exit_code == 1
    assert "1 landed, 0 skipped, 1 quarantined" in result.output
    assert error_of(lake, TRADES)["error_type"] == error_type
    kept = content(lake.storage, f"quarantine/binance/{TRADES.name('2025-08-01')}")
    assert hashlib.sha256(data).hexdigest() in kept.values()
    assert landed(lake) == [TRADES.name("2025-08-02")]


def test_a_file_without_a_checksum_lands_and_says_so(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01"), checksum=None)
    result = land(TRADES)
    assert result.exit_code == 0
    assert "no .CHECKSUM" in result.output
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01"))
    assert "no .CHECKSUM" not in land(TRADES, "--force").output


def test_months_come_whole_and_days_one_by_one(lake: Lake, land: Land, mirror: Mirror) -> None:
    for month in ("2025-07", "2025-08"):
        mirror.put(TRADES, month, one_a_day(month))
    for day in ("2025-08-01", "2025-08-02"):
        mirror.put(TRADES, day, trades(day))
    result = land(TRADES, days=("20250701", "20250803"))
    assert result.exit_code == 0, result.output
    assert landed(lake) == [TRADES.name("2025-07"), TRADES.name("2025-08")]
    assert "so the whole month 2025-08 lands" in result.output


@pytest.mark.parametrize("lake", ["local"], indirect=True)  # months of files are slow on S3
def test_what_was_landed_by_day_is_not_landed_again_by_month(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    for period in ("2025-08", *days_of("2025-08")):
        mirror.put(TRADES, period, trades(period, 1))
    land(TRADES, days=("20250801", "20250802"))
    result = land(TRADES, days=("20250801", "20250831"))
    assert "29 landed, 2 skipped" in result.output
    assert len(rows(lake, "trades")) == 31


def test_a_monthly_file_serves_later_days_of_the_month(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08", trades("2025-08"))
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01"))
    land(TRADES, days=("20250801", "20250831"))
    assert "0 landed, 1 skipped" in land(TRADES).output
    assert len(rows(lake, "trades")) == 3


def test_missing_days_are_listed_and_nothing_at_all_is_a_failure(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01"))
    some = land(TRADES, days=("20250801", "20250802"))
    assert some.exit_code == 0
    assert f"  {TRADES.path('2025-08-02')}" in some.output
    none = land(Series("um", "trades", "NOPE"))
    assert none.exit_code == 1
    assert "Nothing that was asked for exists" in none.output


def days_landed(lake: Lake) -> list[str]:
    """Return the day of each trade."""
    return [day for (day,) in rows(lake, "trades", "date::varchar")]


AUGUST = ("20250801", "20250831")


@pytest.mark.parametrize("lake", ["local"], indirect=True)  # months of files are slow on S3
def test_days_that_the_monthly_file_lacks_come_from_daily_files(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    lacking = ["2025-08-05", "2025-08-09"]
    mirror.put(TRADES, "2025-08", one_a_day("2025-08", without=lacking))
    mirror.put(TRADES, "2025-08-04", trades("2025-08-04", 1))
    mirror.put(TRADES, "2025-08-05", trades("2025-08-05", 1))
    result = land(TRADES, days=AUGUST)
    assert result.exit_code == 0, result.output
    assert "no rows of 2025-08-05, 2025-08-09" in result.output
    assert "2 landed, 0 skipped, 0 quarantined, 1 missing" in result.output
    assert f"  {TRADES.path('2025-08-09')}" in result.output
    august = list(days_of("2025-08"))
    assert days_landed(lake) == [day for day in august if day != "2025-08-09"]
    mirror.put(TRADES, "2025-08-09", trades("2025-08-09", 1))
    again = land(TRADES, days=("20250809", "20250809"))
    assert "1 landed, 1 skipped, 0 quarantined, 0 missing" in again.output
    assert "already landed" in again.output
    assert days_landed(lake) == august
    # The archive mends the month: it replaces the daily files, and each day is there once.
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    mended = land(TRADES, days=AUGUST)
    assert "replaces the daily files of 2025-08-05, 2025-08-09" in mended.output
    assert days_landed(lake) == august
    assert landed(lake) == [TRADES.name("2025-08")]


def test_days_that_a_month_of_klines_lacks_are_found_too(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    hourly = Series("um", "klines", "BTCUSDT", "1h")

    def candle(day: str) -> str:
        begin = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
        return KLINE.replace(str(MS), str(begin)).replace(str(MS + 59_999), str(begin + 1))

    text = "".join(candle(day) for day in days_of("2025-08") if day != "2025-08-20")
    mirror.put(hourly, "2025-08", text)
    mirror.put(hourly, "2025-08-20", candle("2025-08-20"))
    assert land(hourly, days=AUGUST).exit_code == 0
    assert rows(lake, "klines", "count(*), count(distinct open_time)") == [(31, 31)]
    weekly = Series("um", "klines", "BTCUSDT", "1w")
    mirror.put(weekly, "2025-08", candle("2025-08-04"))
    assert "0 missing" in land(weekly, days=AUGUST).output


def ten_a_day(month: str, **days: int) -> str:
    """Return ten trades of each day of a month; of some days only the first ones."""
    return "".join(
        "".join(trades(day, 10).splitlines(True)[: days.get(f"d{day[-2:]}", 10)])
        for day in days_of(month)
    )


@ON_DISK
def test_a_day_that_is_cut_in_the_monthly_file_comes_from_its_daily_file(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08", ten_a_day("2025-08", d05=4, d09=7, d20=5))
    mirror.put(TRADES, "2025-08-05", trades("2025-08-05", 10))  # whole
    mirror.put(TRADES, "2025-08-09", "".join(trades("2025-08-09", 10).splitlines(True)[:7]))
    result = land(TRADES, days=AUGUST)
    assert result.exit_code == 0, result.output
    assert "only part of 2025-08-05, 2025-08-09" in result.output  # the 20th has no daily file
    assert "2025-08-05: the daily file has 10 rows, the monthly file 4" in result.output
    assert landed(lake) == [TRADES.name("2025-08"), TRADES.name("2025-08-05")]
    distinct = set(rows(lake, "trades", "date::varchar, trade_id"))
    counts = Counter(day for day, _ in distinct)
    assert counts == dict.fromkeys(days_of("2025-08"), 10) | {"2025-08-09": 7, "2025-08-20": 5}
    before = content(lake.storage)
    again = land(TRADES, days=AUGUST)
    assert "only part of 2025-08-09. " in again.output
    assert content(lake.storage) == before
    # The archive mends the month: it has all that the daily file has.
    mirror.put(TRADES, "2025-08", ten_a_day("2025-08"))
    assert land(TRADES, days=AUGUST).exit_code == 0
    assert landed(lake) == [TRADES.name("2025-08")]


@ON_DISK
def test_a_day_that_lacks_candles_comes_from_its_daily_file(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    eight_hours = Series("um", "klines", "BTCUSDT", "8h")

    def candles(day: str, count: int = 3) -> str:
        begin = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
        lines = [
            KLINE.replace(str(MS), str(time)).replace(str(MS + 59_999), str(time + 1))
            for time in range(begin, begin + DAY_MS, DAY_MS // 3)
        ]
        return "".join(lines[:count])

    text = "".join(candles(day, 1 if day == "2025-08-20" else 3) for day in days_of("2025-08"))
    mirror.put(eight_hours, "2025-08", text)
    for day in days_of("2025-08"):
        mirror.put(eight_hours, day, candles(day))
    assert land(eight_hours, days=AUGUST).exit_code == 0
    assert landed(lake) == [eight_hours.name("2025-08"), eight_hours.name("2025-08-20")]
    assert rows(lake, "klines", "count(distinct open_time)", "1") == [(93,)]


def test_ids_that_are_not_used_now_and_then_make_no_day_incomplete(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    lines = [trades(day, 500).splitlines(True) for day in days_of("2025-08")]
    mirror.put(TRADES, "2025-08", "".join("".join(day[:7] + day[9:]) for day in lines))
    mirror.put(TRADES, "2025-08-05", trades("2025-08-05", 500))
    assert "only part" not in land(TRADES, days=AUGUST).output


@pytest.mark.parametrize("lake", ["local"], indirect=True)  # months of files are slow on S3
@pytest.mark.parametrize("is_whole", [True, False])
def test_daily_files_stand_in_for_a_monthly_file_that_cannot_be_used(
    lake: Lake, land: Land, mirror: Mirror, is_whole: bool
) -> None:
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"), checksum=OTHER_SUM)
    august = list(days_of("2025-08"))[: 31 if is_whole else 30]
    for day in august:
        mirror.put(TRADES, day, trades(day, 1))
    result = land(TRADES, days=AUGUST)
    assert "its monthly file cannot be used. Daily files are tried" in result.output
    assert days_landed(lake) == august
    # What nothing stands in for stays in quarantine.
    assert result.exit_code == (0 if is_whole else 1)
    assert bool(content(lake.storage, "quarantine")) != is_whole
    again = land(TRADES, days=AUGUST)
    assert again.exit_code == result.exit_code
    assert days_landed(lake) == august
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    land(TRADES, days=AUGUST)
    assert days_landed(lake) == (august if is_whole else list(days_of("2025-08")))
    assert content(lake.storage, "quarantine") == {}


@ON_DISK
def test_a_month_that_landed_stays_if_its_file_breaks_later(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    land(TRADES, days=AUGUST)
    mirror.put(TRADES, "2025-08", "", checksum=OTHER_SUM)
    for day in days_of("2025-08"):
        mirror.put(TRADES, day, trades(day, 1))
    assert land(TRADES, days=AUGUST).exit_code == 1
    assert days_landed(lake) == list(days_of("2025-08"))
    assert landed(lake) == [TRADES.name("2025-08")]


@ON_DISK
def test_the_monthly_file_stands_in_for_a_daily_file_that_cannot_be_used(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01", 1))
    mirror.put(TRADES, "2025-08-02", trades("2025-08-02", 1), checksum=OTHER_SUM)
    result = land(TRADES, days=("20250801", "20250802"))
    assert result.exit_code == 0, result.output
    assert "The monthly file is tried" in result.output
    assert days_landed(lake) == list(days_of("2025-08"))
    assert landed(lake) == [TRADES.name("2025-08")]
    assert content(lake.storage, "quarantine") == {}


@ON_DISK
def test_days_without_a_file_bring_the_month_even_if_others_are_landed(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01", 1))
    land(TRADES)
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    result = land(TRADES, days=("20250801", "20250802"))
    assert "replaces the daily files of 2025-08-01" in result.output
    assert days_landed(lake) == list(days_of("2025-08"))


@ON_DISK
def test_options_say_which_files_to_take(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put(TRADES, "2025-08", one_a_day("2025-08", without=["2025-08-03"]))
    for day in ("2025-08-01", "2025-08-03"):
        mirror.put(TRADES, day, trades(day, 1))
    assert "1 landed" in land(TRADES, "--daily").output
    assert landed(lake) == [TRADES.name("2025-08-01")]
    only = land(TRADES, "--monthly")
    assert "replaces the daily files of 2025-08-01" in only.output
    assert landed(lake) == [TRADES.name("2025-08")]
    before = content(lake.storage)
    refused = land(TRADES, "--daily")
    assert refused.exit_code == 1
    assert "daily files would repeat them" in refused.output
    assert content(lake.storage) == before
    assert land(TRADES, "--daily", days=("20250803", "20250803")).exit_code == 0
    assert days_landed(lake) == list(days_of("2025-08"))
    assert land(TRADES, "--daily", "--monthly").exit_code == 2


@ON_DISK
def test_a_forced_choice_has_no_second(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"), checksum=OTHER_SUM)
    mirror.put(TRADES, "2025-08-01", trades("2025-08-01", 1))
    assert land(TRADES, "--monthly").exit_code == 1
    assert landed(lake) == []
    assert error_of(lake, TRADES, "2025-08")["again"].endswith(" --monthly")


@ON_DISK
@pytest.mark.parametrize(("period", "odd"), [("2025-08", "2025-8"), ("2025-08-01", "2025-8-1")])
def test_names_whose_numbers_have_no_zero_in_front_are_found(
    lake: Lake, land: Land, mirror: Mirror, period: str, odd: str
) -> None:
    file = mirror.put(TRADES, period, one_a_day(period))
    for end in ("", ".CHECKSUM"):
        Path(f"{file}{end}").rename(f"{file}{end}".replace(period, odd))
    for expected in ("1 landed", "1 skipped"):
        result = land(TRADES, days=AUGUST if period == "2025-08" else AUGUST[:1] * 2)
        assert result.exit_code == 0, result.output
        assert expected in result.output
    assert landed(lake) == [TRADES.name(period)]


@ON_DISK
def test_copies_in_a_zip_are_one_file(lake: Lake, land: Land, mirror: Mirror) -> None:
    text = trades("2025-08-01")
    mirror.put_bytes(TRADES, "2025-08-01", zipped(one=text, **{"data/one": text}))
    assert land(TRADES).exit_code == 0
    assert len(rows(lake, "trades")) == 3


@pytest.mark.parametrize("flags", [["--latest"], []])
def test_latest_is_the_newest_month_there_is(
    lake: Lake, land: Land, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setattr("loaders.binance.request.today", lambda: date(2025, 9, 3))
    nothing = land(TRADES, *flags, days=None)
    assert nothing.exit_code == 1
    assert f"  {TRADES.path('2025-08')}" in nothing.output
    mirror.put(TRADES, "2024-02", one_a_day("2024-02"))
    mirror.put(TRADES, "2025-09-01", trades("2025-09-01"))
    assert land(TRADES, *flags, days=None).exit_code == 0
    assert landed(lake) == [TRADES.name("2024-02")]
    mirror.put(TRADES, "2025-08", one_a_day("2025-08"))
    assert land(TRADES, *flags, days=None).exit_code == 0
    assert landed(lake) == [TRADES.name("2024-02"), TRADES.name("2025-08")]
    both = land(Series("um", "trades", "BTCUSDT,NOPE"), *flags, days=None)
    assert both.exit_code == 0
    assert "1 skipped, 0 quarantined, 1 missing" in both.output


def test_trades_and_aggregated_trades_of_the_same_days_are_refused(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    aggregated = Series("um", "aggTrades", "BTCUSDT")
    line = f"1,1.5,2.5,7,9,{MS + DAY_MS},true\n"
    mirror.put(aggregated, "2025-08-02", line)
    for day in ("2025-08-01", "2025-08-02"):
        mirror.put(TRADES, day, trades(day))
    assert land(aggregated, days=("20250802", "20250802")).exit_code == 0
    before = content(lake.storage)
    refused = land(TRADES, days=("20250801", "20250802"))
    assert refused.exit_code == 1
    assert "would repeat what is landed" in refused.output
    assert content(lake.storage) == before
    assert land(TRADES).exit_code == 0
    advised = re.search(r"`ticklake (delete .*?)`", refused.output)
    assert advised is not None
    done = CliRunner().invoke(main, [*advised[1].split(), "--yes"])
    assert done.exit_code == 0, done.output
    assert land(TRADES, days=("20250801", "20250802")).exit_code == 0
    assert len(rows(lake, "trades")) == 6


def test_mark_prices_have_one_interval_and_klines_any(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    for data in ("klines", "markPriceKlines"):
        for interval in ("1m", "1h"):
            mirror.put(Series("um", data, "BTCUSDT", interval), "2025-08-01", KLINE)
    codes = [
        land(Series("um", data, "BTCUSDT", interval)).exit_code
        for data in ("klines", "markPriceKlines")
        for interval in ("1m", "1h")
    ]
    assert codes == [0, 0, 0, 1]


def test_bytes_do_not_depend_on_workers_or_on_landing_again(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    for day in days_of("2025-08")[:3]:
        mirror.put(TRADES, day, trades(day, 40))
    arguments = {"days": ("20250801", "20250803")}
    assert "3 landed" in land(TRADES, **arguments).output
    before = content(lake.storage)
    assert "3 skipped" in land(TRADES, **arguments).output
    assert "3 landed" in land(TRADES, "--force", workers=3, **arguments).output
    assert content(lake.storage) == before


@ON_S3
def test_an_s3_source_reads_as_a_directory_does(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put(TRADES, "2025-08", trades("2025-08", 50))
    mirror.put(TRADES, "2025-09-01", trades("2025-09-01"))
    for file in sorted(mirror.root.rglob("*")):
        if file.is_file():
            lake.storage.write(f"mirror/{file.relative_to(mirror.root)}", file.read_bytes())
    days = ("20250801", "20250901")
    result = land(TRADES, days=days, source=f"{lake.root}/mirror")
    assert result.exit_code == 0, result.output
    assert "2 landed" in result.output
    assert len(rows(lake, "trades")) == 53
    assert "2 skipped" in land(TRADES, days=days, source=f"{lake.root}/mirror").output


@pytest.fixture
def web(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The mirror on a web server whose answers a test can break."""
    monkeypatch.setattr(http_source.time, "sleep", lambda seconds: None)
    handler = partial(_Quiet, directory=str(mirror.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with FaultProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
            yield proxy
        server.shutdown()


@ON_DISK
@pytest.mark.parametrize("action", ["truncate", "reset", "503"])
def test_a_broken_download_is_tried_again(
    lake: Lake, land: Land, mirror: Mirror, web: FaultProxy, action: Any
) -> None:
    file = mirror.put(TRADES, "2025-08-01", trades("2025-08-01", 3000))
    after = file.stat().st_size // 2
    web.add(action, method="GET", path=r"zip$", times=2, after=after)
    web.add(action, method="GET", path=r"CHECKSUM$", times=1, after=10)
    web.add("503", method="HEAD", times=1)
    result = land(TRADES, source=web.endpoint)
    assert result.exit_code == 0, result.output
    faults = [request.fault for request in web.requests if request.method == "GET"]
    assert faults == [action, action, None, action, None]
    assert len(rows(lake, "trades")) == 3000
    assert "1 skipped" in land(TRADES, source=web.endpoint).output


@ON_DISK
def test_a_download_that_stays_broken_fails_and_keeps_what_is_done(
    lake: Lake, land: Land, mirror: Mirror, web: FaultProxy
) -> None:
    for day in ("2025-08-01", "2025-08-02"):
        mirror.put(TRADES, day, trades(day))
    web.add("truncate", method="GET", path="2025-08-02.zip$", times=99, after=20)
    result = land(TRADES, days=("20250801", "20250802"), source=web.endpoint)
    assert result.exit_code == 1
    assert "could not be read in" in result.output
    assert landed(lake) == [TRADES.name("2025-08-01")]
    web.clear()
    again = land(TRADES, days=("20250801", "20250802"), source=web.endpoint)
    assert "1 landed, 1 skipped" in again.output


@ON_DISK
@pytest.mark.parametrize(
    "arguments",
    [
        ["--market", "spot", "--data", "fundingRate", "--symbols", "BTCUSDT"],
        ["--market", "um", "--data", "trades", "--symbols", "BTCUSDT", "--interval", "1m"],
        ["--market", "um", "--data", "klines", "--symbols", "BTCUSDT", "--interval", "7m"],
        ["--market", "um", "--data", "klines", "--symbols", "../BTC"],
        ["--market", "um", "--data", "klines", "--symbols", " , "],
        ["--market", "um", "--data", "klines", "--symbols", "BTCUSDT", "--start", "20250801"],
        [
            *("--market", "um", "--data", "klines", "--symbols", "BTCUSDT"),
            *("--start", "20250802", "--end", "20250801"),
        ],
        [
            *("--market", "um", "--data", "klines", "--symbols", "BTCUSDT", "--latest"),
            *("--start", "20250801", "--end", "20250801"),
        ],
    ],
)
def test_wrong_usage_is_told_apart(
    lake: Lake, land: Land, mirror: Mirror, arguments: list[str]
) -> None:
    result = CliRunner().invoke(main, ["land", "binance", "--source", str(mirror.root), *arguments])
    assert result.exit_code == 2
    assert "Error:" in result.output
    assert list(lake.storage.entries("")) == []


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        pass
