"""Writing files whose bytes depend on their content alone."""

import gzip
import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lz4.frame

ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file that was written."""

    path: Path
    rows: int
    size: int


def write_file(path: Path, data: bytes, rows: int) -> SampleFile:
    """Write `data`, packed as the end of the file's name says: .gz, .lz4 or neither."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        data = gzip.compress(data, 6, mtime=0)
    elif path.suffix == ".lz4":
        data = lz4.frame.compress(data, block_linked=True, store_size=True)
    path.write_bytes(data)
    return SampleFile(path, rows, len(data))


def write_zip(path: Path, text: str, rows: int) -> SampleFile:
    """Write a ZIP that holds one CSV of the same name, and its `.CHECKSUM` beside it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        member = zipfile.ZipInfo(f"{path.stem}.csv", ZIP_EPOCH)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = 0o644 << 16
        archive.writestr(member, text)
    data = packed.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum = f"{hashlib.sha256(data).hexdigest()}  {path.name}\n"
    path.with_name(f"{path.name}.CHECKSUM").write_text(checksum)
    path.write_bytes(data)
    return SampleFile(path, rows, len(data))
