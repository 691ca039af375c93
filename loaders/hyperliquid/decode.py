"""From the bytes of an LZ4 object to chunks of whole lines, in bounded memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import lz4.frame

READ_SIZE: Final = 1 << 20
CHUNK_SIZE: Final = 4 << 20  # larger is not faster: it falls out of the cache
LONGEST_LINE: Final = 256 << 20


class BrokenObjectError(Exception):
    """An object that cannot be read to its end, so nothing of it is landed."""

    def __init__(self, error_type: str, message: str, offset: int, decoded: int) -> None:
        super().__init__(error_type, message, offset, decoded)
        self.error_type = error_type
        self.message = message
        self.offset = offset
        """Bytes of the object that had been read."""
        self.decoded = decoded
        """Bytes of text that had come out of them."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, with the place of the first one in the decoded text."""

    text: bytes
    offset: int


def chunks(stream: BinaryIO, size: int = CHUNK_SIZE) -> Iterator[Chunk]:
    """Yield the lines of an LZ4 object in chunks of about `size` bytes, each line whole.

    Only the last line may lack its newline. Where chunks are cut depends on the decoded text alone,
    not on how the stream hands out its bytes. Raises BrokenObjectError.
    """
    frames = _Frames(stream)
    rest = b""
    wanted = size
    offset = 0
    while True:
        text = frames.read(wanted - len(rest), after=rest)
        ended = len(text) < wanted
        cut = len(text) if ended else text.rfind(b"\n") + 1
        if not cut and not ended:
            if wanted >= LONGEST_LINE:
                raise frames.broken("LINE_TOO_LONG", f"a line is longer than {LONGEST_LINE} bytes")
            rest, wanted = text, wanted * 2
            continue
        rest, text = text[cut:], text[:cut]
        if ended and not _ends_whole(text):
            raise frames.broken("LINE_TRUNCATED", "the last line is cut off")
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


class _Frames:
    """The text of one or more LZ4 frames, which must all be whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = lz4.frame.LZ4FrameDecompressor()
        self._begun = False
        self._consumed = 0
        self._decoded = 0

    def read(self, size: int, after: bytes) -> bytes:
        """Return `after` and the next `size` bytes of text, fewer only at the end."""
        parts = [after]
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
