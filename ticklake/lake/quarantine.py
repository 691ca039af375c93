"""Raw segments that cannot be used: set aside under `quarantine/raw/`, each with an `error.json`.

A segment `raw/<channel>/<partition>/<file>` goes to `quarantine/<that path>/<file>`. It is copied,
then explained, then deleted from `raw/`: killed anywhere, nothing is lost, and the next build does
the rest. As long as `raw/` has a segment of the same path, the one set aside is superseded: that is
how a segment that was landed again, or put back, is taken up.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import RAW
from ticklake.lake.raw import QUARANTINE
from ticklake.lake.storage import Entry, Storage
from ticklake.lake.tables import READERS

ERROR = "error.json"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a segment cannot be used."""

    error_type: str
    message: str
    row: int | None = None
    """The first row that cannot be used, from 0, if the segment can be read and a row is wrong."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A thing in quarantine: a raw segment, or what a loader could not read."""

    path: str
    """Its path below `quarantine/`; of a segment that is where it was in the lake."""
    error_type: str
    message: str
    size: int
    files: tuple[str, ...]
    about: Mapping[str, Any]
    """All that its `error.json` says."""

    @property
    def is_segment(self) -> bool:
        """Say whether this is a raw segment, which can be put back."""
        return self.path.startswith(f"{RAW}/")


def set_aside(storage: Storage, problems: Mapping[str, Problem]) -> None:
    """Move segments into quarantine. One that was replaced meanwhile stays where it is."""
    for path, problem in problems.items():
        before = storage.find(path)
        if before is None:
            continue
        folder = _folder(path)
        digest = hashlib.sha256()
        with storage.staging() as staging:
            staged = staging / "segment"
            with storage.open(path) as source, staged.open("wb") as target:
                while piece := source.read(1 << 20):
                    digest.update(piece)
                    target.write(piece)
            storage.publish(staged, f"{folder}/{_name(path)}")
        about = {
            "error_type": problem.error_type,
            "message": problem.message,
            "path": path,
            "partition": path.rpartition("/")[0],
            "size": before.size,
            "sha256": digest.hexdigest(),
        } | ({} if problem.row is None else {"row": problem.row})
        storage.write(f"{folder}/{ERROR}", json.dumps(about, indent=2).encode() + b"\n")
        after = storage.find(path)
        if after is not None and (after.size, after.tag) == (before.size, before.tag):
            storage.delete(path)


def things_set_aside(storage: Storage, below: str = "") -> dict[str, SetAside]:
    """Return what is in quarantine by path: of one raw table, one loader, or in all."""
    folders: dict[str, list[Entry]] = {}
    for entry in storage.entries(f"{QUARANTINE}/{below}"):
        folder = entry.path.removeprefix(f"{QUARANTINE}/").rpartition("/")[0]
        folders.setdefault(folder, []).append(entry)
    with ThreadPoolExecutor(READERS) as pool:
        contents = pool.map(lambda path: _explanation(storage, path), folders)
        return {
            path: _described(path, entries, content)
            for (path, entries), content in sorted(zip(folders.items(), contents, strict=True))
        }


def _explanation(storage: Storage, path: str) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(storage.read(f"{_folder(path)}/{ERROR}"))
        return about | {name: str(about[name]) for name in ("error_type", "message")}
    except FileNotFoundError:
        message = "the process that set it aside was killed before it said why"
    except (ValueError, KeyError, TypeError):
        message = f"its {ERROR} cannot be read"
    return {"error_type": "UNEXPLAINED", "message": message}


def _described(path: str, entries: Iterable[Entry], about: Mapping[str, Any]) -> SetAside:
    things = [entry for entry in entries if not entry.path.endswith(f"/{ERROR}")]
    return SetAside(
        path,
        about["error_type"],
        about["message"],
        sum(entry.size for entry in things),
        tuple(sorted(entry.path for entry in things)),
        about,
    )


def put_back(storage: Storage, path: str) -> None:
    """Move a segment back to `raw/`, where the next build looks at it again."""
    aside = f"{_folder(path)}/{_name(path)}"
    if storage.find(path) is None:
        with storage.staging() as staging:
            staged = staging / "segment"
            try:
                with storage.open(aside) as source, staged.open("wb") as target:
                    while piece := source.read(1 << 20):
                        target.write(piece)
            except FileNotFoundError:
                raise LakeError(
                    f"{storage.url(aside)} is missing, so it cannot be put back. Land it again, "
                    f"then run `ticklake quarantine drop {path} --yes`."
                ) from None
            storage.publish(staged, path)
    forget(storage, [path])


def describe_again(storage: Storage, path: str, **about: Any) -> None:
    """Change what the explanation of a segment says of it, if it has one that can be read."""
    explanation = f"{_folder(path)}/{ERROR}"
    try:
        before = json.loads(storage.read(explanation))
        storage.write(explanation, json.dumps(before | about, indent=2).encode() + b"\n")
    except (FileNotFoundError, ValueError, TypeError):
        return


def forget(storage: Storage, paths: Iterable[str]) -> None:
    """Delete things from quarantine; what explains them last, so that none is nameless."""
    for path in paths:
        files = {entry.path for entry in storage.entries(_folder(path))}
        explanation = f"{_folder(path)}/{ERROR}"
        for file in (*sorted(files - {explanation}), explanation):
            storage.delete(file)


def _folder(path: str) -> str:
    return f"{QUARANTINE}/{path}"


def _name(path: str) -> str:
    return path.rpartition("/")[2]
