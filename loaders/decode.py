"""From the bytes of an object to text and to chunks of whole lines, in bounded memory."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, Protocol

import lz4.frame
import pyarrow as pa

Codec = Literal["lz4", "gzip", "zstd"] | None
"""How an object is compressed; None where it is not."""

READ_SIZE: Final = 1 << 20
CHUNK_SIZE: Final = 4 << 20  # larger is not faster: it falls out of the cache
LONGEST_LINE: Final = 256 << 20


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
    codecs: dict[str, Codec] = {".lz4": "lz4", ".gz": "gzip", ".zst": "zstd"}
    return next((codec for end, codec in codecs.items() if path.endswith(end)), None)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, with the place of the first one in the decoded text."""

    text: bytes
    offset: int


class Text(Protocol):
    """The decoded text of an object."""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end. Raises BrokenObjectError."""
        ...

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        """Return an error that knows how far the object has been read."""
        ...


def open_text(stream: BinaryIO, codec: Codec) -> Text:
    """Return the text of an object. What is cut off or damaged raises as it is read."""
    return _Lz4(stream) if codec == "lz4" else _Stream(stream, codec)


def chunks(
    stream: BinaryIO, size: int = CHUNK_SIZE, *, codec: Codec = "lz4", json_lines: bool = True
) -> Iterator[Chunk]:
    """Yield the lines of an object in chunks of about `size` bytes, each line whole.

    Only the last line may lack its newline; of JSON lines it has to be a whole JSON value then.
    Where chunks are cut depends on the decoded text alone, not on how the stream hands out its
    bytes. Raises BrokenObjectError.
    """
    decoded = open_text(stream, codec)
    rest = b""
    wanted = size
    offset = 0
    while True:
        text = rest + decoded.read(wanted - len(rest))
        ended = len(text) < wanted
        cut = len(text) if ended else text.rfind(b"\n") + 1
        if not cut and not ended:
            if wanted >= LONGEST_LINE:
                raise decoded.broken("LINE_TOO_LONG", f"a line is longer than {LONGEST_LINE} bytes")
            rest, wanted = text, wanted * 2
            continue
        rest, text = text[cut:], text[:cut]
        if ended and json_lines and not _ends_whole(text):
            raise decoded.broken("LINE_TRUNCATED", "the last line is cut off")
        if text:
            yield Chunk(text, offset)
            offset += cut
        if ended:
            return
        wanted = size if len(rest) < size else 2 * len(rest)


def _ends_whole(text: bytes) -> bool:
    if text.endswith(b"\n") or not text:
        return True
    try:
        json.loads(text[text.rfind(b"\n") + 1 :])
    except (ValueError, RecursionError):
        return False
    return True


class _Lz4:
    """The text of one or more LZ4 frames, which must all be whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = lz4.frame.LZ4FrameDecompressor()
        self._begun = False
        self._consumed = 0
        self._decoded = 0

    def read(self, size: int) -> bytes:
        parts = []
        while size and (part := self._next(size)) is not None:
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        return BrokenObjectError(error_type, message, self._consumed, self._decoded)

    def _next(self, size: int) -> bytes | None:
        """Return up to `size` bytes of text, possibly none yet, or None at the end."""
        left_over = b""
        if self._decoder.eof:
            left_over = self._decoder.unused_data or b""
            self._decoder = lz4.frame.LZ4FrameDecompressor()
            self._begun = False
        data = b""
        if self._decoder.needs_input:
            data = left_over or self._stream.read(READ_SIZE)
            if not left_over:
                self._consumed += len(data)
            if not data:
                if self._begun or not self._consumed:
                    raise self.broken("LZ4_TRUNCATED", "the LZ4 frame has no end mark")
                return None
            self._begun = True
        try:
            text: bytes = self._decoder.decompress(data, max_length=size)
        except RuntimeError as error:
            raise self.broken("LZ4_CORRUPT", f"not a whole LZ4 frame ({error})") from None
        self._decoded += len(text)
        return text


class _Stream:
    """The text of a gzip, zstd or plain object."""

    def __init__(self, stream: BinaryIO, codec: Codec) -> None:
        self._codec = codec
        self._source = _Counted(stream)
        self._text = pa.CompressedInputStream(self._source, codec) if codec else self._source
        self._decoded = 0

    def read(self, size: int) -> bytes:
        parts = []
        try:
            while size and (part := self._text.read(size)):
                parts.append(part)
                size -= len(part)
        except OSError as error:
            if self._codec is None or error.errno is not None:  # the source failed, not the codec
                raise
            cut = "Truncated" in str(error)
            kind = f"{self._codec}_{'truncated' if cut else 'corrupt'}".upper()
            raise self.broken(kind, f"not a whole {self._codec} stream ({error})") from None
        text = b"".join(parts)
        self._decoded += len(text)
        return text

    def broken(self, error_type: str, message: str) -> BrokenObjectError:
        return BrokenObjectError(error_type, message, self._source.consumed, self._decoded)


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
