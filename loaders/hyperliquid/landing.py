"""Landing one object: from the source to segments, ledger and quarantine."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from loaders.hyperliquid.batches import BatchReader
from loaders.hyperliquid.decode import BrokenObjectError, chunks
from loaders.hyperliquid.job import SOURCE_NAME, TABLE, Job, Outcome
from loaders.hyperliquid.records import Position, Rows, read_lines, reject_lines
from loaders.hyperliquid.schema import RAW_SCHEMA, REPEATING
from loaders.source import Source, open_source
from ticklake.lake import raw
from ticklake.lake.errors import LakeError
from ticklake.lake.segments import SegmentWriter
from ticklake.lake.storage import Storage, open_storage

REJECTED: Final = "rejected.jsonl"


def land_object(job: Job) -> Outcome:
    """Land one object. Never raises for a fault of the object, the source or the lake."""
    try:
        storage = _storage(job.root)
        source = _source(job.source, job.requester_pays)
        with storage.staging() as folder:
            try:
                return _land(job, storage, source, folder)
            except BrokenObjectError as error:
                return _set_aside(job, storage, source, folder, error)
    except (LakeError, OSError) as error:
        return Outcome(job.hour.path, "failed", message=str(error))


def _land(job: Job, storage: Storage, source: Source, folder: Path) -> Outcome:
    writer = SegmentWriter(folder, RAW_SCHEMA, REPEATING)
    rejects = folder / REJECTED
    with source.open(job.hour.path) as stream, rejects.open("wb") as rejected_lines:
        counts = _read(stream, job, writer.append, rejected_lines)
    name, day = job.hour.name, job.hour.hour.date()
    earlier = raw.read_ledger(storage, SOURCE_NAME, name)
    segments = raw.publish_segments(storage, TABLE, name, writer.finish())
    raw.remove_stale_segments(storage, TABLE, name, day, segments, earlier)
    message = ""
    if counts.rejected:
        message = "some lines or fills were set aside: " + raw.quarantine(
            storage, f"{TABLE}/{name}", {REJECTED: rejects}, _about_rows(job, counts)
        )
    else:
        raw.release(storage, f"{TABLE}/{name}")
    rows = sum(segment.rows for segment in segments)
    entry = raw.LedgerEntry(
        source=source.location,
        object=job.hour.path,
        size=job.found.size,
        tag=job.found.tag,
        symbols=None if job.coins is None else sorted(job.coins),
        rows=rows,
        segments=segments,
        rejected=dict(sorted(counts.rejected.items())),
        extra=dict(sorted(counts.extra.items())),
    )
    raw.write_ledger(storage, SOURCE_NAME, name, entry)
    return Outcome(
        job.hour.path, "landed", job.found.size, rows, entry.rejected, entry.extra, message
    )


@dataclass(slots=True)
class _Counts:
    rejected: Counter[str] = field(default_factory=Counter)
    extra: Counter[str] = field(default_factory=Counter)


def _read(
    stream: BinaryIO, job: Job, append: Callable[[pa.Table], None], rejected_lines: IO[bytes]
) -> _Counts:
    """Read a whole object, chunk by chunk: the fast way where it can be, else line by line."""
    position, counts = Position(), _Counts()
    by_block = job.hour.by_block
    coins = None if job.coins is None else pa.array(job.coins, pa.string())
    for chunk in chunks(stream):
        table = _reader().read(chunk.text, position, by_block=by_block)
        rows = (
            read_lines(chunk.text, chunk.offset, position, by_block=by_block)
            if table is None
            else Rows(table)
        )
        for line in reject_lines(rows.rejects):
            rejected_lines.write(line)
        counts.rejected.update(reject["error_type"] for reject in rows.rejects)
        counts.extra.update(rows.extra)
        kept = rows.table
        if coins is not None:
            kept = kept.filter(pc.is_in(kept["coin"], coins))
        if kept.num_rows:
            append(kept)
    return counts


def _set_aside(
    job: Job, storage: Storage, source: Source, folder: Path, error: BrokenObjectError
) -> Outcome:
    """Put a whole object into quarantine. What an earlier version of it has landed stays."""
    copy = folder / "object"
    with source.open(job.hour.path) as stream, copy.open("wb") as file:
        while piece := stream.read(1 << 20):
            file.write(piece)
    about = {
        "error_type": error.error_type,
        "message": error.message,
        "source": f"{source.location}/{job.hour.path}",
        "size": job.found.size,
        "tag": job.found.tag,
        "offset": error.offset,
        "decoded_bytes": error.decoded,
    }
    name = job.hour.path.rpartition("/")[2]
    aside = raw.quarantine(storage, f"{TABLE}/{job.hour.name}", {name: copy}, about)
    message = f"{error.error_type}: {error.message}; set aside in {aside}"
    return Outcome(
        job.hour.path,
        "quarantined",
        job.found.size,
        message=message,
    )


def _about_rows(job: Job, counts: _Counts) -> dict[str, Any]:
    commonest = counts.rejected.most_common(1)[0][0]
    return {
        "error_type": commonest if len(counts.rejected) == 1 else "SEVERAL",
        "message": f"{counts.rejected.total()} lines or fills could not be read; see {REJECTED}",
        "source": f"{_source(job.source, job.requester_pays).location}/{job.hour.path}",
        "size": job.found.size,
        "tag": job.found.tag,
        "rejected": dict(sorted(counts.rejected.items())),
    }


# One of each for the life of a worker process.


@cache
def _reader() -> BatchReader:
    pa.set_cpu_count(1)  # the processes are the parallelism
    return BatchReader()


@cache
def _storage(root: str) -> Storage:
    return open_storage(root)


@cache
def _source(location: str, requester_pays: bool) -> Source:
    return open_source(location, requester_pays=requester_pays)
