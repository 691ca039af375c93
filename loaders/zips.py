"""One file of a ZIP, as a stream."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import BinaryIO, Final, cast

from loaders.decode import BrokenObjectError
from loaders.limits import bomb

MAGIC: Final = b"PK\x03\x04"
_IS_ENCRYPTED: Final = 1
_SHOWN: Final = 5


@contextmanager
def seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give an object on disk: a ZIP is read from its end."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        file.seek(0)
        yield cast(BinaryIO, file)


@contextmanager
def member(
    file: BinaryIO, *, glob: str | None = None, hint: str = ""
) -> "Iterator[tuple[str, BinaryIO]]":
    """Open the one CSV of a ZIP, or the one file that `glob` names, and give its name with it.

    Copies of a file count as one.

    `hint` says how to name one of several. Raises BrokenObjectError.
    """
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        file.seek(0)
        is_cut = file.read(len(MAGIC)) == MAGIC
        kind = "ZIP_TRUNCATED" if is_cut else "NOT_A_ZIP"
        raise BrokenObjectError(kind, f"not a whole ZIP ({error})") from None
    with archive:
        members = [item for item in archive.infolist() if not item.is_dir()]
        chosen = [item for item in members if _is_wanted(item.filename, glob)]
        if len({(item.CRC, item.file_size) for item in chosen}) == 1:
            chosen = chosen[:1]  # some archives hold the same file twice, below another path
        if len(chosen) != 1:
            what = "CSV" if glob is None else f"file that matches {glob!r}"
            names = ", ".join(item.filename for item in (chosen or members)[:_SHOWN]) or "nothing"
            raise BrokenObjectError(
                "ZIP_MEMBERS",
                f"the ZIP should hold one {what}; it holds {len(chosen)}: {names}{hint}",
            )
        if chosen[0].flag_bits & _IS_ENCRYPTED:
            raise BrokenObjectError("ZIP_CORRUPT", "the CSV in the ZIP is encrypted")
        if why := bomb(chosen[0].compress_size, chosen[0].file_size):
            raise BrokenObjectError("DECOMPRESSION_BOMB", why)
        yield chosen[0].filename, cast(BinaryIO, _Member(archive, chosen[0]))


def _is_wanted(name: str, glob: str | None) -> bool:
    if glob is None:
        # A Mac adds a file of its own, called ._name, for each file.
        is_hidden = name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")
        return name.lower().endswith(".csv") and not is_hidden
    return fnmatchcase(name, glob) or fnmatchcase(name.rpartition("/")[2], glob)


class _Member:
    """A file of a ZIP, as a stream; what is wrong with it is a BrokenObjectError."""

    def __init__(self, archive: zipfile.ZipFile, about: zipfile.ZipInfo) -> None:
        self._archive, self._about = archive, about
        self._stream: BinaryIO | None = None
        self._decoded = 0

    def read(self, size: int) -> bytes:
        try:
            if self._stream is None:
                self._stream = cast(BinaryIO, self._archive.open(self._about))
            data = self._stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BrokenObjectError(
                "ZIP_CORRUPT", f"the CSV in the ZIP cannot be read ({error})", 0, self._decoded
            ) from None
        self._decoded += len(data)
        if why := bomb(self._about.compress_size, self._decoded):
            raise BrokenObjectError("DECOMPRESSION_BOMB", why, 0, self._decoded)
        return data
