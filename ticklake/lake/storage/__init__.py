"""Where bytes live: one small interface, a local folder and S3 behind it.

Everything else in ticklake names an object by its path relative to the root of a storage, with `/`
between the parts. Only this package knows whether that is a file or a key.
"""

from ticklake.lake.errors import LakeError
from ticklake.lake.storage.base import ANYTHING, Entry, Storage
from ticklake.lake.storage.local import LocalStorage

__all__ = ["ANYTHING", "Entry", "LocalStorage", "Storage", "open_storage"]


def open_storage(location: str, *, requester_pays: bool = False) -> Storage:
    """Return the storage for a location: `s3://bucket/prefix`, or else a local folder.

    `requester_pays` is sent along with every request to S3; a local folder ignores it.
    """
    if location.startswith("s3://"):
        from ticklake.lake.storage.s3 import S3Storage  # a local lake does without its client

        return S3Storage(location, requester_pays=requester_pays)
    if not location or "://" in location:
        raise LakeError(
            f"{location!r} is no place for a lake. Write s3://bucket/prefix or a folder's path."
        )
    return LocalStorage(location)
