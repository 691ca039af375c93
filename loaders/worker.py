"""Landing one object: from the source to segments, ledger and quarantine."""

import errno
import resource
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from loaders.channels import CHANNELS
from loaders.decode import BrokenObjectError
from loaders.exact_json import dump, verbatim
from loaders.landing import Job, Outcome, opened
from loaders.limits import REJECT_BYTES, REJECTS
from loaders.source import Source
from loaders.values import plain_value
from ticklake.lake import raw
from ticklake.lake.erased_rows import rejects_without_erased, without_erased
from ticklake.lake.erasures import REASON, Erasures, read_erasures
from ticklake.lake.errors import LakeError
from ticklake.lake.lease import LEASES_OF_OBJECTS, writing_in_turn
from ticklake.lake.paths import unusable
from ticklake.lake.row_rules import find_faults
from ticklake.lake.segments import SegmentWriter
from ticklake.lake.storage import Storage, open_storage

REJECTED: Final = "rejected.jsonl"
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
SAMPLE: Final = 1_000
"""Lines and rows that are kept of an object that is refused because it has too many bad ones."""


class AccountingError(Exception):
    """A parser lost lines or rows of an object, or counted some twice."""


class Sink:
    """Where a parser puts what it finds in one object."""

    def __init__(self, folder: Path, symbols: frozenset[str] | None) -> None:
        self.symbols = symbols
        """The symbols to keep; None for all. Rows of others are dropped by `rows`."""
        self.rejected: Counter[str] = Counter()
        self.extras: Counter[str] = Counter()
        self.unwanted: Counter[str] = Counter()
        """Lines and rows that are not data, or not asked for, by reason."""
        self.notes: list[str] = []
        self.id_ranges: dict[str, list[int]] = {}
        """The smallest and the largest trade id of each day."""
        self._read: int | None = None
        self._kept = self._folded = 0
        self._reject_count = self._reject_bytes = 0
        self._writer = SegmentWriter(folder)
        self.rejects_file = folder / REJECTED
        self._rejects = self.rejects_file.open("wb")

    def rows(
        self,
        channel: str,
        table: pa.Table,
        *,
        exchange: str,
        symbol: str | None = None,
        interval: str | None = None,
    ) -> None:
        """Add rows in arrival order; columns that the channel has and the table lacks are null.

        `symbol` and `interval` are for channels that are partitioned by them; a channel with all
        symbols in a partition takes `symbol` too. Rows that break a rule of their channel are set
        aside.
        """
        if symbol is not None and self.symbols is not None and symbol not in self.symbols:
            self.skip("other symbols", table.num_rows)
            return
        values = {"exchange": exchange, "symbol": symbol, "interval": interval}
        wanted = CHANNELS[channel].names
        where: dict[str, Any] = {"channel": channel} | {name: values[name] for name in wanted}
        for name in wanted:
            if why := unusable(str(values[name])):
                for row in range(table.num_rows):
                    message = f"{name} {why}"
                    self.reject("BAD_NAME", message, content=_content(table, row), **where)
                return
        if CHANNELS[channel].has_symbols:
            table = table.append_column("symbol", pa.repeat(str(symbol), table.num_rows))
        table = self._usable(channel, table, where)
        self._kept += table.num_rows
        key = tuple(str(values[name]) for name in CHANNELS[channel].partition_by[:-1])
        self._writer.append(CHANNELS[channel], key, table)

    def _usable(self, channel: str, table: pa.Table, where: Mapping[str, Any]) -> pa.Table:
        """Return the rows that keep the rules of their channel; set the others aside."""
        faults = find_faults(channel, table)
        if not faults:
            return table
        is_good = np.ones(table.num_rows, np.bool_)
        for fault in faults:
            is_good[fault.row] = False
            content = _content(table, fault.row)
            self.reject(fault.error_type, fault.message, content=content, **where)
        return table.filter(pa.array(is_good))

    def reject(
        self,
        error_type: str,
        message: str,
        *,
        line: int | None = None,
        content: str | bytes | Mapping[str, Any] | None = None,
        **where: Any,
    ) -> None:
        """Set a line or row aside. `line` counts from 1; `content` is what could not be used."""
        text: dict[str, Any] = (
            {**verbatim(content)} if isinstance(content, bytes) else {"content": content}
        )
        about = {"line": line, **where, "error_type": error_type, "message": message}
        self.reject_as(about | text)

    def reject_as(self, entry: dict[str, Any]) -> None:
        """Set something aside as a JSON line of the caller's making, with an `error_type`.

        Raises BrokenObjectError if there are too many.
        """
        self.rejected[entry["error_type"]] += 1
        line = dump(entry).encode(errors="backslashreplace") + b"\n"
        self._reject_count += 1
        self._reject_bytes += self._rejects.write(line)
        for limit, count, unit in (
            (REJECTS, self._reject_count, "lines or rows"),
            (REJECT_BYTES, self._reject_bytes, "bytes of lines or rows"),
        ):
            if count > limit.value:
                self._rejects.flush()
                what = f"{count:,} {unit} could not be used"
                raise BrokenObjectError("TOO_MANY_REJECTS", limit.exceeded(what))

    def extra(self, name: str, count: int = 1) -> None:
        """Count rows with a field that has no column and went to `extra`."""
        self.extras[name] += count

    def skip(self, reason: str, count: int = 1) -> None:
        """Count lines or rows that are not data, or not asked for. They are no failure."""
        self.unwanted[reason] += count

    def read(self, count: int) -> None:
        """Count lines or rows of the object. A parser that does it accounts for each of them.

        Each one becomes a row, is rejected, is skipped, or is folded into a row of others.
        """
        self._read = (self._read or 0) + count

    def fold(self, count: int) -> None:
        """Count lines or rows read that give no row of their own, such as changes of a book.

        It is negative for rows that come on top of those that were read.
        """
        self._folded += count

    def ids(self, days: pa.Array, ids: pa.Array) -> None:
        """Note the ids of trades that are numbered one by one; `days` are their dates."""
        table = pa.table({"day": days, "id": ids}).group_by("day")
        for row in table.aggregate([("id", "min"), ("id", "max")]).to_pylist():
            low, high = row["id_min"], row["id_max"]
            known = self.id_ranges.setdefault(str(row["day"]), [low, high])
            known[:] = min(known[0], low), max(known[1], high)

    def note(self, message: str) -> None:
        """Tell who lands the object something about it that is no fault of a line."""
        self.notes.append(message)

    def finish(self) -> list[raw.StagedSegment]:
        """Close all files and return the segments.

        Raises AccountingError if the parser counted what it read and some of it went nowhere.
        """
        self._rejects.close()
        parts = {
            "rows": self._kept,
            "rejected": self.rejected.total(),
            "not wanted": self.unwanted.total(),
            "folded": self._folded,
        }
        if self._read is not None and self._read != sum(parts.values()):
            counts = ", ".join(f"{count:,} {name}" for name, count in parts.items())
            raise AccountingError(f"{self._read:,} lines or rows were read, but: {counts}")
        return self._writer.finish()


def land_object(job: Job) -> Outcome:
    """Land one object. Never raises: what went wrong is in the outcome."""
    try:
        storage = _storage(job.root)
        source = _source(job.item.source)
        lease = f"{LEASES_OF_OBJECTS}/{job.loader}/{job.item.name}"
        with writing_in_turn(storage, "ticklake land", lease) as fenced:
            job = _with_symbols_landed(job, storage)
            while True:
                erasures = read_erasures(storage)
                with storage.staging() as folder:
                    try:
                        outcome = _land(job, fenced, source, folder, erasures)
                    except BrokenObjectError as error:
                        return _set_aside(job, fenced, source, folder, error)
                if read_erasures(storage) == erasures:  # else something was erased meanwhile
                    return outcome
    except LakeError as error:
        cause = error.__context__
        if isinstance(cause, OSError) and cause.errno in (*FULL, *REFUSED):
            return _failed(job, cause)
        return Outcome(job.item.path, "failed", message=str(error))
    except OSError as error:
        return _failed(job, error)
    except Exception as error:  # whatever it is, the other objects land
        *_, place = traceback.extract_tb(error.__traceback__)
        told = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        message = f"{told}. This is a fault of the loader: please report it"
        return Outcome(job.item.path, "failed", message=message)


def _with_symbols_landed(job: Job, storage: Storage) -> Job:
    """Add the symbols that another process has landed of an object since it was planned."""
    entry = raw.read_ledger(storage, job.loader, job.item.name)
    if entry is None or job.symbols is None:
        return job
    symbols = None if entry.symbols is None else sorted({*job.symbols, *entry.symbols})
    return replace(job, symbols=symbols)


def _land(job: Job, storage: Storage, source: Source, folder: Path, erasures: Erasures) -> Outcome:
    sink = Sink(folder, None if job.symbols is None else frozenset(job.symbols))
    job.item.parser.parse(source, job.found, sink)
    staged, erased = without_erased(sink.finish(), erasures)
    if erased:
        sink.skip(REASON, erased)
    thing = f"{job.loader}/{job.item.name}"
    rejected = dict(sorted(sink.rejected.items()))
    extra = dict(sorted(sink.extras.items()))
    unwanted = dict(sorted(sink.unwanted.items()))
    entry = raw.LedgerEntry(
        source=source.location,
        object=job.item.path,
        size=job.found.size,
        tag=job.found.tag,
        symbols=None if job.symbols is None else sorted(job.symbols),
        rows=sum(segment.rows for segment in staged),
        segments=[],
        reader=repr(job.item.parser),
        rejected=rejected,
        extra=extra,
        unwanted=unwanted,
        id_ranges=dict(sorted(sink.id_ranges.items())),
    )
    if rejected:
        rejects_without_erased(sink.rejects_file, erasures)
        aside = raw.quarantine(
            storage, thing, {REJECTED: sink.rejects_file}, _about_rows(job, source, sink)
        )
        sink.note(f"some lines or rows were set aside: {aside}")
    else:
        raw.release(storage, thing)
    earlier = raw.read_ledger(storage, job.loader, job.item.name)
    raw.replace_segments(storage, job.loader, job.item.name, staged, entry, earlier)
    message = "; ".join(filter(None, [job.note, *sink.notes]))
    return Outcome(
        job.item.path,
        "landed",
        job.found.size,
        entry.rows,
        rejected=rejected,
        extra=extra,
        unwanted=unwanted,
        message=message,
    )


def _set_aside(
    job: Job, storage: Storage, source: Source, folder: Path, error: BrokenObjectError
) -> Outcome:
    """Put a whole object into quarantine. What an earlier version of it has landed stays.

    The first lines and rows that were set aside before go there too. Of a large object, only the
    first bytes are kept: the whole one is still at its source.
    """
    copy = folder / "object"
    most = REJECT_BYTES.value
    kept = 0
    with source.open(job.item.path) as stream, copy.open("wb") as file:
        while piece := stream.read(min(1 << 20, most - kept)):
            kept += file.write(piece)
        is_part = kept == most and bool(stream.read(1))
    about = _about(job, source) | {
        "error_type": error.error_type,
        "message": error.message,
        "offset": error.offset,
        "decoded_bytes": error.decoded,
    }
    name = raw.safe_name(job.item.path.rpartition("/")[2])
    told = f"{error.error_type}: {error.message}"
    if is_part:
        name += ".part"
        about["kept_bytes"] = kept
        told += f"; its first {kept:,} bytes are kept ({REJECT_BYTES.variable})"
    files = {name: copy}
    if sample := list(_first_rejects(folder / REJECTED)):
        files[REJECTED] = folder / "sample"
        files[REJECTED].write_bytes(b"".join(sample))
    aside = raw.quarantine(storage, f"{job.loader}/{job.item.name}", files, about)
    return Outcome(
        job.item.path,
        "quarantined",
        job.found.size,
        message=f"{told}; set aside in {aside}",
    )


def _first_rejects(file: Path) -> Iterator[bytes]:
    if file.exists():
        with file.open("rb") as lines:
            yield from islice(lines, SAMPLE)


def _failed(job: Job, error: OSError) -> Outcome:
    """Return the outcome of an object that the operating system stopped."""
    is_full = error.errno in FULL
    name = str(error.filename or error.filename2 or "")
    is_of_lake = name.startswith(_storage(job.root).root)
    is_refused = error.errno in REFUSED and is_of_lake
    if is_full:
        place = name or f"{job.root} or {tempfile.gettempdir()}"
        message = f"There is no space left for {place}. Free some, then run the command again."
    elif is_refused:
        message = f"{name} cannot be written: {error.strerror}. Make it writable, then run again."
    else:
        message = str(error)
    return Outcome(job.item.path, "failed", message=message, stops=is_full or is_refused)


def _about(job: Job, source: Source) -> dict[str, Any]:
    return {
        "error_type": "",
        "message": "",
        "source": f"{source.location}/{job.item.path}",
        "size": job.found.size,
        "tag": job.found.tag,
        "again": job.hint,
    }


def _about_rows(job: Job, source: Source, sink: Sink) -> dict[str, Any]:
    (commonest, _), *others = sink.rejected.most_common()
    return _about(job, source) | {
        "error_type": "SEVERAL" if others else commonest,
        "message": f"{sink.rejected.total()} lines or rows could not be read; see {REJECTED}",
        "rejected": dict(sorted(sink.rejected.items())),
    }


def _content(table: pa.Table, row: int) -> dict[str, Any]:
    return {name: plain_value(table[name][row]) for name in table.column_names}


# One of each for the life of a worker process.


@cache
def _storage(root: str) -> Storage:
    pa.set_cpu_count(1)  # the processes are the parallelism
    pa.set_memory_pool(pa.system_memory_pool())  # DuckDB's: what one leaves the other takes
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a file a partition may be open
    return open_storage(root)


@cache
def _source(location: str) -> Source:
    return opened(location)
