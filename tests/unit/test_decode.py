"""From the bytes of objects to whole lines, of cut ones too."""

import gzip
import io
import random
import zlib
from typing import Any, BinaryIO, cast

import lz4.frame
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.csv_lines import BadLine, CsvObject
from loaders.decode import BrokenObjectError, Codec, Peeked, chunks

TEXT = b"".join(b"%d,%d\n" % (number, number * 7_919 % 1_000_003) for number in range(3_000))
PACKED: dict[Codec, bytes] = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "lz4": lz4.frame.compress(TEXT),
    "zstd": pa.compress(TEXT, "zstd", asbytes=True),
}


def lines_of(data: bytes, codec: Codec, size: int = 1_000) -> tuple[bytes, list[Any]]:
    """Return the whole lines of an object, and what was told of a cut."""
    told: list[Any] = []
    found = chunks(
        io.BytesIO(data),
        size,
        codec=codec,
        json_lines=False,
        on_cut=lambda error, rest: told.append((error.error_type, rest)),
    )
    return b"".join(chunk.text for chunk in found), told


@pytest.mark.parametrize("codec", PACKED)
def test_a_whole_object_gives_its_text_and_no_cut(codec: Codec) -> None:
    assert lines_of(PACKED[codec], codec) == (TEXT, [])
    assert lines_of(PACKED[codec] * 2, codec) == (TEXT * 2, [])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gzip", "lz4", "zstd"]), st.floats(0, 1), st.integers(50, 5_000))
def test_a_cut_object_gives_all_its_whole_lines(codec: Codec, share: float, size: int) -> None:
    data = PACKED[codec]
    data = data[: max(1, int(len(data) * share))]
    text, told = lines_of(data, codec, size)
    if data == PACKED[codec]:
        assert (text, told) == (TEXT, [])
        return
    ((error_type, rest),) = told
    assert error_type == f"{codec}_TRUNCATED".upper()
    assert TEXT.startswith(text + rest)
    assert text.endswith(b"\n") or not text
    assert b"\n" not in rest


def test_not_a_byte_of_a_cut_gzip_is_lost() -> None:
    data = PACKED["gzip"]
    for end in range(20, len(data), 997):
        text, ((_, rest),) = lines_of(data[:end], "gzip")
        decoded = zlib.decompressobj(31).decompress(data[:end])
        assert text + rest == decoded
        assert text == decoded[: decoded.rfind(b"\n") + 1]


@pytest.mark.parametrize("codec", PACKED)
def test_a_cut_object_is_broken_for_who_needs_it_whole(codec: Codec) -> None:
    with pytest.raises(BrokenObjectError) as error:
        list(chunks(io.BytesIO(PACKED[codec][:-9]), codec=codec, json_lines=False))
    assert error.value.error_type == f"{codec}_TRUNCATED".upper()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gzip", "lz4"]), st.floats(0, 1), st.integers(50, 5_000))
def test_lines_appended_to_a_cut_object_are_read(codec: Codec, share: float, size: int) -> None:
    whole = PACKED[codec]
    end = 20 + int((len(whole) - 30) * share)
    text, cuts = lines_of(whole[:end] + whole + whole[:end], codec, size)
    alone, ((_, rest),) = lines_of(whole[:end], codec, size)
    assert text == alone + TEXT + alone
    assert cuts == [(f"{codec}_TRUNCATED".upper(), rest)] * 2


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_a_cut_in_the_middle_says_where_it_is(codec: Codec) -> None:
    data = PACKED[codec][:5_000] + PACKED[codec]
    with pytest.raises(BrokenObjectError, match="at byte 5,000, where another one begins"):
        list(chunks(io.BytesIO(data), codec=codec, json_lines=False))


def test_a_cut_may_be_anywhere_in_what_is_read_at_once() -> None:
    noise = random.Random(1).randbytes(1 << 20).hex().encode()  # text of which gzip makes a half
    lines = b"\n".join(noise[place : place + 100] for place in range(0, len(noise), 100)) + b"\n"
    data = gzip.compress(lines, mtime=0)
    for end in range((1 << 20) - 11, (1 << 20) + 2):
        before = zlib.decompressobj(31).decompress(data[:end])
        text, ((_, rest),) = lines_of(data[:end] + data, "gzip", 1 << 20)
        assert text == before.removesuffix(rest) + lines


def test_the_bytes_of_a_header_by_chance_are_no_cut() -> None:
    lines = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"stored as it is\n" * 100
    assert lines_of(gzip.compress(lines, 0), "gzip") == (lines, [])


class Forward(io.BytesIO):
    """A stream that cannot seek, as that of an object on S3."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("codec", PACKED)
def test_a_cut_object_that_cannot_be_read_twice_gives_all_its_whole_lines(codec: Codec) -> None:
    def read(stream: io.BytesIO) -> tuple[bytes, list[Any]]:
        told: list[Any] = []
        found = chunks(
            cast(BinaryIO, Peeked(stream)),
            1_000,
            codec=codec,
            json_lines=False,
            on_cut=lambda error, rest: told.append((error.error_type, rest)),
        )
        return b"".join(chunk.text for chunk in found), told

    whole = pa.compress(TEXT * 30, codec, asbytes=True)
    data = whole[:-30]
    text, told = read(Forward(data))
    assert (text, told) == read(io.BytesIO(data))
    assert text.endswith(b"\n")
    assert len(told) == 1


def test_a_csv_that_was_appended_to_after_a_cut_numbers_its_lines() -> None:
    bad: list[BadLine] = []
    skipped: list[tuple[str, int]] = []
    content = b"price,size\n" + TEXT
    whole = gzip.compress(content, mtime=0)
    file = CsvObject(cast(BinaryIO, io.BytesIO(whole[:9_000] + whole)), "gzip")
    numbers = [
        number
        for lines in file.lines(bad.append, lambda *told: skipped.append(told))
        for number in lines.numbers.tolist()
    ]
    (cut,) = bad
    assert cut.error_type == "GZIP_TRUNCATED"
    assert skipped == [("repeated headers", 1)]
    assert numbers[-3_000:] == list(range(cut.number + 2, cut.number + 3_002))
    assert file.read == len(numbers) + 2


def test_a_damaged_gzip_is_broken_whoever_reads_it() -> None:
    data = PACKED["gzip"]
    for damaged in (b"[1]\n" + data, data + b"more", data[:-8] + b"12345678"):
        with pytest.raises(BrokenObjectError, match="GZIP_CORRUPT"):
            lines_of(damaged, "gzip")


def test_zeros_pad_a_gzip() -> None:
    padded = PACKED["gzip"] + bytes(600)
    assert lines_of(padded + PACKED["gzip"] + bytes(9), "gzip") == (TEXT * 2, [])


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_cut_csv_says_where_it_ends(codec: Codec) -> None:
    def read(data: bytes) -> tuple[int, list[BadLine]]:
        bad: list[BadLine] = []
        text = CsvObject(cast(BinaryIO, io.BytesIO(data)), codec)
        return sum(len(lines.numbers) for lines in text.lines(bad.append)), bad

    content = b"price,size\n" + TEXT * 40
    whole = pa.compress(content, codec, asbytes=True)
    count, (bad,) = read(whole[:-20])
    assert bad.error_type == f"{codec}_TRUNCATED".upper()
    assert bad.number == count + 2
    assert content.splitlines()[count + 1].startswith(bad.content)
    with pytest.raises(BrokenObjectError, match="TRUNCATED"):
        read(whole[:8])
