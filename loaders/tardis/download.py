"""Fetching data sets with Tardis's own client, which needs a key.

The key goes to the client and nowhere else: no message, log or file of ours has it.
"""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from urllib.error import HTTPError

from ticklake.lake.errors import LakeError

DOWNLOADS: Final = 4
_UNSAFE: Final = re.compile(r'[:\\/?*<>|"]')


@dataclass(frozen=True, slots=True)
class DataSet:
    """A day of one data type of one symbol."""

    exchange: str
    data_type: str
    symbol: str
    day: date

    @property
    def file(self) -> str:
        """The name of its file."""
        symbol = _UNSAFE.sub("-", self.symbol)
        return f"{self.exchange}_{self.data_type}_{self.day}_{symbol}.csv.gz"


def data_sets(
    exchange: str, data_types: Sequence[str], symbols: Sequence[str], start: date, end: date
) -> list[DataSet]:
    """Return the data sets of the days from `start` to `end`, both included."""
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return [
        DataSet(exchange, data_type, symbol, day)
        for data_type in data_types
        for symbol in symbols
        for day in days
    ]


def download(wanted: Sequence[DataSet], folder: str, key_variable: str) -> list[str]:
    """Download what is not there yet, and return the path of each data set.

    A data set that Tardis does not have has no file then. Raises LakeError where there is no key or
    no client, and where a download fails.
    """
    key = os.environ.get(key_variable, "")
    if not key:
        raise LakeError(
            f"Downloads from Tardis need an API key, and {key_variable} is not set. Set it, name "
            "another variable with --api-key-env, or give files that are downloaded already."
        )
    fetch = _client()
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        return list(pool.map(lambda item: _download(fetch, item, folder, key), wanted))


def _client() -> Callable[..., None]:
    try:
        from tardis_dev import download_datasets
    except ImportError:
        raise LakeError(
            "Downloads from Tardis need its client: install ticklake[tardis], or give files that "
            "are downloaded already."
        ) from None
    found: Callable[..., None] = download_datasets
    return found


def _download(fetch: Callable[..., None], wanted: DataSet, folder: str, key: str) -> str:
    def name(*_: Any) -> str:
        return wanted.file

    failure = ""
    try:
        fetch(
            exchange=wanted.exchange,
            data_types=[wanted.data_type],
            symbols=[wanted.symbol],
            from_date=wanted.day.isoformat(),
            to_date=(wanted.day + timedelta(days=1)).isoformat(),
            api_key=key,
            download_dir=folder,
            get_filename=name,
        )
    except HTTPError as error:
        if error.code in (401, 403):
            failure = f"Tardis refuses the API key (HTTP {error.code})"
        elif error.code != 404:
            failure = f"HTTP {error.code} {error.msg}"
    except Exception as error:  # whatever the client raises, its text may hold the key
        failure = f"{type(error).__name__}: {error}"
    if failure:
        failure = failure.replace(key, "***")[:300]
        raise LakeError(
            f"{wanted.file} could not be downloaded: {failure}. What is downloaded is kept; run "
            "the command again to go on."
        )
    return os.path.join(folder, wanted.file)
