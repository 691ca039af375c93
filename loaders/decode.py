"""From the bytes of an object to text and to chunks of whole lines, in bounded memory."""

import codecs
import io
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, Protocol, cast

import lz4.frame
import pyarrow as pa

from loaders.limits import LINE_BYTES, bomb

Codec = Literal["lz4", "gzip", "zstd", "bz2"] | None
"""How an object is compressed; None where it is not."""

READ_SIZE: Final = 1 << 20
CHUNK_SIZE: Final = 4 << 20  # larger is not faster: it falls out of the cache


class BrokenObjectError(Exception):
    """An object that cannot be read to its end, so nothing of it is landed."""

    def __init__(self, error_type: str, message: str, offset: int = 0, decoded: int = 0) -> None:
        super().__init__(error_type, message, offset, decoded)
        self.error_type = error_type
        self.message = message
        self.offset = offset
        """Bytes of the object that had been read."""
        self.decoded = decoded
        """Bytes of text that had come out of them."""


def codec_of(path: str) -> Codec:
    """Return what the name of an object says of its compression."""
    ends: dict[str, Codec] = {".lz4": "lz4", ".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
    return next((codec for end, codec in ends.items() if path.endswith(end)), None)


HEAD_SIZE: Final = 512
_CODECS: Final[tuple[tuple[bytes, Codec], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    *((b"BZh%d1AY&SY" % level, "bz2") for level in range(1, 10)),
)
_OTHERS: Final = (
    (b"PAR1", "Parquet, which `ticklake land spool` reads"),
    (b"\xfd7zXZ\x00", "compressed with xz: decompress it, or use gzip, zstd or lz4"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it, or use ZIP"),
    (b"Rar!", "a RAR archive: unpack it, or use ZIP"),
    (b"ARROW1", "Arrow, which can be written as Parquet for `ticklake land spool`"),
    (b"ORC", "ORC, which can be written as Parquet for `ticklake land spool`"),
    (b"Obj\x01", "Avro, which can be written as Parquet for `ticklake land spool`"),
    (b"\x89HDF", "HDF5, which can be written as Parquet for `ticklake land spool`"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV"),
)


class Peeked(io.RawIOBase):
    """A stream of which the first bytes are known, and still to be read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        head = b""
        while len(head) < HEAD_SIZE and (piece := stream.read(HEAD_SIZE - len(head))):
            head += piece
        self.head = head
        self._rest = head

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._rest and size >= 0:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        data, self._rest = self._rest, b""
        return data + self._stream.read(size)

    def seekable(self) -> bool:
        return isinstance(self._stream, io.IOBase) and self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._rest = b""
        return self._stream.seek(offset, whence)


def codec_of_text(head: bytes, path: str) -> Codec:
    """Return how an object of text is compressed, which its first bytes tell, else its name.

    Raises BrokenObjectError if the bytes are those of something else.
    """
    for magic, codec in _CODECS:
        if head.startswith(magic):
            return codec
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise BrokenObjectError("NOT_CSV", f"it is not text, but {what}")
    if head[257:262] == b"ustar":
        raise BrokenObjectError("NOT_CSV", "it is a tar archive: unpack it, or use ZIP")
    named = codec_of(path)
    # Some tools decompress a file and keep its name.
    is_text = bool(head) and not any(byte < 9 or byte > 126 for byte in head)
    return None if is_text else named


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, with the place of the first one in the decoded text."""

    text: bytes
    offset: int


class Text(Protocol):
    """The decoded text of an object."""

    @property
    def cut(self) -> BrokenObjectError | None:
        """Why the text ended before its end; None until it did."""
        ...

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end or where the object is cut.

        Raises BrokenObjectError if the object is damaged.
        """
        ...

    def resume(self) -> bool:
        """Go on after a cut, and return whether there is anything after it."""
        ...

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        """Return an error that knows how far the object has been read."""
        ...


def open_text(stream: BinaryIO, codec: Codec) -> Text:
    """Return the text of an object. What is damaged raises as it is read."""
    if codec == "lz4" or codec == "gzip":
        return _Frames(stream, codec)
    if codec is not None and not stream.seekable():
        stream = _copied(stream)  # a cut object is read twice
    return _Stream(stream, codec)


def _copied(stream: BinaryIO) -> BinaryIO:
    """Return a copy on disk, which goes away when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the text that is read from it
    shutil.copyfileobj(stream, file, READ_SIZE)
    file.seek(0)
    return cast(BinaryIO, file)


OnCut = Callable[[BrokenObjectError, bytes], None]
"""Called with the reason why an object is cut, and the part of a line before the cut."""


def chunks(
    stream: BinaryIO,
    size: int = CHUNK_SIZE,
    *,
    codec: Codec = "lz4",
    json_lines: bool = True,
    on_cut: OnCut | None = None,
    encoding: str | None = None,
) -> Iterator[Chunk]:
    """Yield the lines of an object in chunks of about `size` bytes, each line whole.

    Only the last line may lack its newline; of JSON lines it has to be a whole JSON value then.
    Where chunks are cut depends on the decoded text alone, not on how the stream hands out its
    bytes. Text of an `encoding` is given out as UTF-8. Of a compressed object that is cut, as by a
    recorder that was killed, the whole lines are yielded if there is `on_cut`; otherwise it is
    broken. A recorder that was started again may have appended to it: the lines after the cut
    follow. Raises BrokenObjectError.
    """
    decoded = open_text(stream, codec)
    if encoding is not None:
        decoded = _Recoded(decoded, encoding)
    rest = b""
    wanted = size
    offset = 0
    while True:
        text = rest + decoded.read(wanted - len(rest))
        ended = len(text) < wanted
        if decoded.cut is not None and on_cut is None:
            raise decoded.cut
        is_cut = decoded.cut is not None and ended
        cut = len(text) if ended and not is_cut else text.rfind(b"\n") + 1
        if not cut and not ended:
            if wanted >= LINE_BYTES.value:
                what = f"a line has {len(text):,} bytes or more"
                raise decoded.broken("LINE_TOO_LONG", LINE_BYTES.exceeded(what))
            rest, wanted = text, wanted * 2
            continue
        rest, text = text[cut:], text[:cut]
        if ended and json_lines and not _ends_whole(text):
            raise decoded.broken("LINE_TRUNCATED", "the last line is cut off")
        if text:
            yield Chunk(text, offset)
            offset += cut
        if ended:
            if decoded.cut is not None and on_cut is not None:
                on_cut(decoded.cut, rest)
            if not decoded.resume():
                return
            offset += len(rest)
            rest, wanted = b"", size
            continue
        wanted = size if len(rest) < size else 2 * len(rest)


_BLANK_STARTS: Final = tuple(b"\n" + bytes([byte]) for byte in b"\n\r \t\v\f")


def count_lines(text: bytes) -> int:
    """Return how many lines are not blank."""
    if text[:1].isspace() or any(start in text for start in _BLANK_STARTS):
        return sum(map(bool, map(bytes.strip, text.split(b"\n"))))
    return text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))


def _ends_whole(text: bytes) -> bool:
    if text.endswith(b"\n") or not text:
        return True
    try:
        json.loads(text[text.rfind(b"\n") + 1 :])
    except (ValueError, RecursionError):
        return False
    return True


_MAGICS: Final = {"gzip": b"\x1f\x8b\x08", "lz4": b"\x04\x22\x4d\x18"}
_HEADERS: Final = {
    "gzip": re.compile(rb"\x1f\x8b\x08[\0-\x1f].{4}[\0\2\4][\0-\x0d\xff]", re.DOTALL),
    "lz4": re.compile(rb"\x04\x22\x4d\x18[\x40-\x7f][\x40-\x70]", re.DOTALL),
}
_HEADER_SIZE: Final = 10
_TRIED: Final = 64 << 10
"""Bytes that have to decode for a header in the middle of a frame to count as one."""


class _Frames:
    """The text of one or more LZ4 frames or gzip members.

    If a frame begins before the one before it has ended, the object was cut there and then
    appended to.
    """

    def __init__(self, stream: BinaryIO, codec: Literal["lz4", "gzip"]) -> None:
        self.cut: BrokenObjectError | None = None
        self._stream = stream
        self._codec = codec
        self._decoder = self._new_decoder()
        self._begun = False
        self._held = b""  # what was read, of which the bytes from `_place` on are not decoded
        self._place = 0
        self._read = 0
        self._is_all_read = False
        self._decoded = 0

    def read(self, size: int) -> bytes:
        parts = []
        while size and (part := self._next(size)) is not None:
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def resume(self) -> bool:
        if self.cut is None or self._place == len(self._held):
            return False
        self.cut = None
        self._decoder = self._new_decoder()
        self._begun = False
        return True

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        return BrokenObjectError(error_type, message, self._consumed, self._decoded)

    @property
    def _consumed(self) -> int:
        return self._read - (len(self._held) - self._place)

    def _new_decoder(self) -> Any:
        return lz4.frame.LZ4FrameDecompressor() if self._codec == "lz4" else _GzipMember()

    def _next(self, size: int) -> bytes | None:
        """Return up to `size` bytes of text, possibly none yet, or None at the end or a cut."""
        if self.cut is not None:
            return None
        if self._decoder.eof:
            self._place -= len(self._decoder.unused_data or b"")
            self._decoder = self._new_decoder()
            self._begun = False
        data = b""
        if self._decoder.needs_input:
            data = self._piece()
            if not data:
                self._end()
                return None
            if self._codec == "gzip" and not self._begun:
                data = data.lstrip(b"\0")  # padding between and after members
                if not data:
                    return b""
            self._begun = True
        try:
            text: bytes = self._decoder.decompress(data, max_length=size)
        except (RuntimeError, zlib.error) as error:
            kind = f"{self._codec}_corrupt".upper()
            raise self.broken(kind, f"not a whole {self._codec} stream ({error})") from None
        self._decoded += len(text)
        if why := bomb(self._consumed, self._decoded):
            raise self.broken("DECOMPRESSION_BOMB", why)
        return text

    def _piece(self) -> bytes:
        """Return the next bytes up to where a frame may begin; none at the end or a cut."""
        while not self._is_all_read and len(self._held) - self._place < _TRIED:
            more = self._stream.read(READ_SIZE)
            self._is_all_read = not more
            self._read += len(more)
            self._held = self._held[self._place :] + more
            self._place = 0
        begin = self._place
        end = self._next_header(begin if self._begun else begin + 1)
        if end == begin and self._begun and end < len(self._held):
            if self._begins_frame(begin):
                return b""
            end = self._next_header(begin + 1)
        self._place = end
        return self._held[begin:end]

    def _next_header(self, begin: int) -> int:
        """Return where the next header may be, else the end of what can be searched for one."""
        place = self._held.find(_MAGICS[self._codec], begin)
        while place >= 0:
            if _HEADERS[self._codec].match(self._held, place):
                return place
            place = self._held.find(_MAGICS[self._codec], place + 1)
        return len(self._held) - (0 if self._is_all_read else _HEADER_SIZE - 1)

    def _begins_frame(self, place: int) -> bool:
        """Return whether a frame begins, and its header is not there by chance."""
        data = self._held[place : place + _TRIED]
        try:
            self._new_decoder().decompress(data, max_length=READ_SIZE)
        except (RuntimeError, zlib.error):
            return False
        return True

    def _end(self) -> None:
        """Note whether the text is cut where it ends."""
        kind = f"{self._codec}_truncated".upper()
        if self._place < len(self._held):
            told = f"is cut at byte {self._consumed:,}, where another one begins"
            self.cut = self.broken(kind, f"the {self._codec} stream {told}")
        elif self._begun or (self._codec == "lz4" and not self._read):
            self.cut = self.broken(kind, f"the {self._codec} stream ends before its end")


class _GzipMember:
    """A member of a gzip object, decoded in the way of an LZ4 frame.

    Arrow's reader would throw away what it has decoded when it comes to a cut.
    """

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def needs_input(self) -> bool:
        return not (self._decoder.unconsumed_tail or self._is_full)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        text = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self._is_full = len(text) == max_length
        return text


class _Stream:
    """The text of a zstd or plain object."""

    def __init__(self, stream: BinaryIO, codec: Codec) -> None:
        self.cut: BrokenObjectError | None = None
        self._codec = codec
        self._stream = stream
        self._source = _Counted(stream)
        self._text = pa.CompressedInputStream(self._source, codec) if codec else self._source
        self._decoded = 0

    def read(self, size: int) -> bytes:
        if self.cut is not None:
            return b""
        parts = []
        try:
            while size and (part := self._text.read(size)):
                parts.append(part)
                size -= len(part)
                self._decoded += len(part)
                if self._codec and (why := bomb(self._source.consumed, self._decoded)):
                    raise self.broken("DECOMPRESSION_BOMB", why)
        except OSError as error:
            if self._codec is None or error.errno is not None:  # the source failed, not the codec
                raise
            is_cut = "Truncated" in str(error)
            kind = f"{self._codec}_{'truncated' if is_cut else 'corrupt'}".upper()
            broken = self.broken(kind, f"not a whole {self._codec} stream ({error})")
            if not is_cut:
                raise broken from None
            self.cut = broken
            parts.append(self._up_to_cut())
        return b"".join(parts)

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        return BrokenObjectError(error_type, message, self._source.consumed, self._decoded)

    def resume(self) -> bool:
        return False

    def _up_to_cut(self) -> bytes:
        """Return the text before a cut that Arrow has decoded and thrown away."""
        self._stream.seek(0)
        text = pa.CompressedInputStream(_Counted(self._stream), self._codec)
        place = 0
        while place < self._decoded:
            place += len(text.read(min(READ_SIZE, self._decoded - place)))
        found = bytearray()
        try:
            while byte := text.read(1):
                found += byte
        except OSError:
            pass
        return bytes(found)


class _Recoded:
    """Text of another encoding, as UTF-8. UTF-16 is known by its mark, whatever was said."""

    def __init__(self, text: Text, encoding: str) -> None:
        self._text = text
        self._encoding = encoding
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ready = b""
        self._begun = False
        self._ended = False

    def read(self, size: int) -> bytes:
        parts = [self._ready]
        length = len(self._ready)
        while length < size and not self._ended:
            parts.append(self._next())
            length += len(parts[-1])
        text = b"".join(parts)
        self._ready = text[size:]
        return text[:size]

    @property
    def cut(self) -> BrokenObjectError | None:
        return self._text.cut

    def resume(self) -> bool:
        self._begun = self._ended = False
        self._decoder = None
        return self._text.resume()

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        return self._text.broken(error_type, message)

    def _next(self) -> bytes:
        data = self._text.read(READ_SIZE)
        self._ended = len(data) < READ_SIZE
        if not self._begun:
            self._begun = True
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self._encoding = "utf-16"
            if self._encoding not in ("", "utf-8", "utf-8-sig"):  # those are checked line by line
                self._decoder = codecs.getincrementaldecoder(self._encoding)()
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, self._ended).encode()
        except UnicodeError as error:
            told = f"the text is not of the encoding {self._encoding} ({error})"
            raise self.broken("BAD_ENCODING", told) from None


class _Counted(io.RawIOBase):
    """A stream that knows how much was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.consumed = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.consumed += len(data)
        return data
