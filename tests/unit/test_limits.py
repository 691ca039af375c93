"""Limits of landing: what is refused, and how messages stay short."""

import bz2
import io
import struct
import zipfile
from typing import BinaryIO, cast

import pytest

from loaders import zips
from loaders.binance.layouts import columns_of, from_header
from loaders.decode import BrokenObjectError, chunks
from loaders.limits import COLUMNS, RATIO_FROM, TEXT_BYTES, bomb, listed
from ticklake.lake.errors import LakeError

ZEROS = bytes(8 << 20)


@pytest.mark.parametrize("text", ["9" * 5_000, "0", "-1", "many", "", "1" + "0" * 18])
def test_a_limit_that_is_not_a_usable_number_is_one_short_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(COLUMNS.variable, text)
    with pytest.raises(LakeError, match=r"TICKLAKE_MAX_COLUMNS is .*positive integer") as error:
        _ = COLUMNS.value
    assert len(str(error.value)) < 200


def test_text_of_any_ratio_has_an_absolute_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bomb(1_000, 2_000) is None
    monkeypatch.setenv(TEXT_BYTES.variable, "1999")
    why = bomb(1_000, 2_000)
    assert why is not None
    assert "the limit is 1,999. TICKLAKE_MAX_TEXT_BYTES raises it" in why


def test_a_bomb_of_bz2_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RATIO_FROM.variable, "100000")
    packed = io.BytesIO(bz2.compress(b"a,b\n" + ZEROS))
    with pytest.raises(BrokenObjectError) as error:
        list(chunks(packed, codec="bz2", json_lines=False))
    assert error.value.error_type == "DECOMPRESSION_BOMB"
    assert error.value.decoded < len(ZEROS)


def forged_zip(size: int) -> BinaryIO:
    """Return a ZIP of 8 MiB of zeros whose directory declares another size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", ZEROS)
    data = bytearray(file.getvalue())
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, size)
    struct.pack_into("<I", data, 22, size)
    return io.BytesIO(bytes(data))


@pytest.mark.parametrize("size", [1, 100, 0xFFFF_FFFE])
def test_a_zip_that_declares_a_false_size_is_refused(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv(RATIO_FROM.variable, "100000000")
    with pytest.raises(BrokenObjectError) as error, zips.member(forged_zip(size)) as (_, text):
        list(chunks(cast(BinaryIO, text), codec=None, json_lines=False))
    assert error.value.error_type in ("ZIP_CORRUPT", "DECOMPRESSION_BOMB")
    assert error.value.decoded <= max(size, len(ZEROS))


def test_a_header_of_binance_has_the_limit_of_columns() -> None:
    header = b",".join(b"c%d" % at for at in range(100_000))
    with pytest.raises(BrokenObjectError) as error:
        from_header(header, columns_of("spot", "trades"))
    assert error.value.error_type == "TOO_MANY_COLUMNS"


@pytest.mark.parametrize("name", ["c%d", "id"])
def test_a_wide_header_of_binance_gives_a_short_message(name: str) -> None:
    header = b",".join((name % at if "%" in name else name).encode() for at in range(9_000))
    with pytest.raises(BrokenObjectError) as error:
        from_header(header, columns_of("spot", "trades"))
    assert error.value.error_type == "BAD_HEADER"
    assert len(error.value.message) < 1_000


def test_lists_of_names_are_short() -> None:
    assert listed(["a", "b"]) == "a, b"
    many = listed([f"c{at}" for at in range(10_000)])
    assert many.endswith("c39 and 9,960 more")
    assert len(listed(["x" * 1_000_000])) < 100
