"""Bombs are refused while they are read, with a sentence that names the limit and its variable."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from loaders.decode import CHUNK_SIZE
from tests.conftest import Lake
from tests.integration.landed import content, errors, land, rejects, rows

HEADER = "time,id,price,size,side\n"
LINE = "2025-01-01T00:00:00,1,1,1,buy\n"
LOCAL = pytest.mark.parametrize("lake", ["local"], indirect=True)
ZEROS = bytes(1 << 20)


def land_trades(file: Path) -> Result:
    return land("csv", file, "--channel", "trades", "--exchange", "x", "--symbol", "S")


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@LOCAL
@pytest.mark.parametrize("pack", [gzip.compress, zstd, lz4.frame.compress])
def test_a_compressed_bomb_is_refused_and_ordinary_text_is_not(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_RATIO_FROM", "100000")
    file = tmp_path / "t.csv.gz"
    text = HEADER + "".join(LINE.replace(",1,1", f",{at},{at}.5") for at in range(9_000))
    file.write_bytes(pack(text.encode()))
    assert "1 landed" in land_trades(file).output
    file.write_bytes(pack(HEADER.encode() + ZEROS * 4))
    refused = land_trades(file)
    assert refused.exit_code == 1
    assert "DECOMPRESSION_BOMB" in refused.output
    assert "a ratio of " in refused.output
    assert "; the limit is 200. TICKLAKE_MAX_RATIO raises it" in refused.output


@LOCAL
def test_a_zip_of_zeros_is_refused_by_what_it_declares(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_RATIO_FROM", "1000000")
    file = tmp_path / "t.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", ZEROS * 8)
    refused = land_trades(file)
    assert "DECOMPRESSION_BOMB" in refused.output
    assert "8,388,608" in refused.output


@LOCAL
@pytest.mark.parametrize(
    ("variable", "limit"), [("TICKLAKE_MAX_REJECTS", 2_000), ("TICKLAKE_MAX_REJECT_BYTES", 300_000)]
)
def test_too_many_bad_rows_refuse_the_object_and_a_sample_of_them_is_kept(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, limit: int
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(HEADER + LINE + "2025-01-01T00:00:00,1,none of it,1,buy\n" * 4_000)
    assert "BAD_DECIMAL 4,000" in land_trades(file).output
    for path in content(lake, "raw"):
        lake.storage.delete(path)
    monkeypatch.setenv(variable, str(limit))
    refused = land_trades(file)
    assert "1 quarantined" in refused.output
    assert f"{variable} raises it" in refused.output
    assert rows(lake, "trades") == []
    assert len(rejects(lake)) == 1_000
    assert errors(lake)[0]["error_type"] == "TOO_MANY_REJECTS"


@LOCAL
def test_a_header_of_too_many_columns_is_refused(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(HEADER.strip() + "".join(f",c{at}" for at in range(100_000)) + "\n")
    refused = land_trades(file)
    assert "TOO_MANY_COLUMNS" in refused.output
    assert "100,005 columns; the limit is 10,000. TICKLAKE_MAX_COLUMNS raises it" in refused.output


@LOCAL
def test_a_line_without_end_is_refused(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_LINE_BYTES", str(CHUNK_SIZE))
    file = tmp_path / "t.csv"
    file.write_text(HEADER + LINE + "9" * (3 * CHUNK_SIZE))
    refused = land_trades(file)
    assert "LINE_TOO_LONG" in refused.output
    assert "TICKLAKE_MAX_LINE_BYTES raises it" in refused.output
    assert rows(lake, "trades") == []


@LOCAL
def test_a_limit_that_is_not_a_number_is_one_sentence(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_COLUMNS", "many")
    file = tmp_path / "t.csv"
    file.write_text(HEADER + LINE)
    refused = land_trades(file)
    assert refused.exit_code == 1
    assert "TICKLAKE_MAX_COLUMNS is 'many'. It should be a positive integer" in refused.output


@LOCAL
def test_a_spool_segment_of_too_many_columns_is_refused(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_COLUMNS", "50")
    folder = tmp_path / "spool/exchange=x/stream=trades/symbol=S"
    folder.mkdir(parents=True)
    table = pa.table({"ts_event": [1], **{f"c{at}": [1] for at in range(50)}})
    pq.write_table(table, folder / "a.parquet")
    refused = land("spool", tmp_path / "spool")
    assert "TOO_MANY_COLUMNS: it has 51 columns; the limit is 50" in refused.output


@LOCAL
def test_quarantine_keeps_the_first_bytes_of_a_large_object(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_REJECT_BYTES", "1000")
    file = tmp_path / "t.csv"
    file.write_bytes(b"\x89HDF" + bytes(996))
    assert "1 quarantined" in land_trades(file).output
    (about,) = errors(lake)
    assert "kept_bytes" not in about
    file.write_bytes(b"\x89HDF" + bytes(9_996))
    refused = land_trades(file)
    assert "NOT_CSV" in refused.output
    assert "its first 1,000 bytes are kept (TICKLAKE_MAX_REJECT_BYTES)" in refused.output
    (about,) = errors(lake)
    assert (about["size"], about["kept_bytes"]) == (10_000, 1_000)
    (kept,) = (path for path in content(lake, "quarantine") if path.endswith("t.csv.part"))
    assert lake.storage.read(kept) == b"\x89HDF" + bytes(996)


@LOCAL
def test_a_very_long_line_of_a_capture_is_refused(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MAX_LINE_BYTES", str(CHUNK_SIZE))
    file = tmp_path / "c.jsonl"
    file.write_bytes(b'{"data":"' + b"9" * (3 * CHUNK_SIZE))
    refused = land("capture", file, "--exchange", "binance")
    assert refused.exit_code == 1
    assert "LINE_TOO_LONG" in refused.output
    assert content(lake, "raw") == {}
