"""The lines and fills of an hour are counted apart from the rows that come out of them."""

from pathlib import Path
from typing import Any

import lz4.frame
import pytest

from loaders.hyperliquid import batches, records
from loaders.hyperliquid.fills import FillsParser
from loaders.source import LocalSource, SourceObject
from loaders.worker import AccountingError, Sink

FILL = (
    '["0x%040x",{"coin":"SOL","px":"72.1","sz":"0.5","side":"A","time":1782636233257,'
    '"startPosition":"0.0","dir":"Open Short","closedPnl":"0.0","hash":"0xdc","oid":1,'
    '"crossed":false,"fee":"0.0","tid":%d,"feeToken":"USDC"}]'
)
HEAD = (
    '{"local_time":"2026-06-28T08:43:53.687645997","block_time":"2026-06-28T08:43:53.257028820",'
    '"block_number":%d,"events":[%s]}\n'
)
GOOD = "".join(HEAD % (at, ",".join(FILL % (7, at * 2 + n) for n in (0, 1))) for at in (1, 2))
ODD = GOOD + "\n" + HEAD % (3, "") + "no JSON\n" + HEAD % (4, '7,["0x1",{}]')


def parse(folder: Path, text: str) -> Sink:
    (folder / "0.lz4").write_bytes(lz4.frame.compress(text.encode()))
    (folder / "out").mkdir()
    sink = Sink(folder / "out", None)
    FillsParser(by_block=True).parse(LocalSource(str(folder)), SourceObject("0.lz4", 1, ""), sink)
    return sink


@pytest.mark.parametrize(("text", "rejected"), [(GOOD, 0), (ODD, 3)])
def test_all_lines_and_fills_are_accounted_for(tmp_path: Path, text: str, rejected: int) -> None:
    sink = parse(tmp_path, text)
    assert sum(segment.rows for segment in sink.finish()) == 4
    assert sink.rejected.total() == rejected


@pytest.mark.parametrize(
    ("text", "owner", "name"),
    [(GOOD, batches, "read_batch"), (ODD, records, "read_lines")],
)
def test_a_row_that_a_reader_loses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, owner: Any, name: str
) -> None:
    read = getattr(owner, name)

    def lossy(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        if found is not None:
            found.table = found.table.slice(1)
        return found

    monkeypatch.setattr(owner, name, lossy)
    with pytest.raises(AccountingError):
        parse(tmp_path, text).finish()
