"""Preparing a DuckDB connection for a lake: reading S3, and settings that keep bytes equal."""

from pathlib import Path
from typing import Any

import duckdb

from ticklake.lake.errors import LakeError
from ticklake.lake.storage import LocalStorage, Storage

HTTP_RETRIES = 8


def prepare(connection: Any, storage: Storage) -> None:
    """Make a DuckDB connection able to read a lake."""
    prepare_cursor(connection)
    # Files are replaced in place: nothing of an earlier version may be served from memory.
    connection.execute("set enable_external_file_cache = false")
    if not isinstance(storage, LocalStorage):
        connection.execute(f"load '{_httpfs()}'")
        connection.execute(f"set http_retries = {HTTP_RETRIES}")
        refresh_secret(connection, storage)


def reach(storage: Storage) -> None:
    """Make sure that a store answers. Raises LakeError within half a minute if it does not."""
    if not isinstance(storage, LocalStorage):
        from ticklake.lake.storage.s3 import S3Storage

        assert isinstance(storage, S3Storage), "there are two kinds of storage"
        storage.reach()


def prepare_cursor(cursor: Any) -> None:
    """Settle what a cursor does not take over from its connection: days are UTC days."""
    cursor.execute("set timezone = 'UTC'")


def refresh_secret(connection: Any, storage: Storage) -> None:
    """Hand the current AWS credentials to DuckDB; those of a role change every few hours."""
    if isinstance(storage, LocalStorage):
        return
    import boto3
    from botocore.exceptions import BotoCoreError

    from ticklake.lake.storage.s3 import S3Storage

    assert isinstance(storage, S3Storage), "there are two kinds of storage"
    try:
        credentials = boto3.Session().get_credentials()
        region = storage.client.meta.region_name
        endpoint = str(storage.client.meta.endpoint_url)
    except BotoCoreError as error:
        raise LakeError(
            f"No AWS configuration to read {storage.root} ({type(error).__name__}). "
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION."
        ) from None
    if credentials is None:
        raise LakeError(
            f"No AWS credentials to read {storage.root}. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or run where a role gives them."
        )
    frozen = credentials.get_frozen_credentials()
    scheme, _, host = endpoint.partition("://")
    options = {
        "key_id": frozen.access_key,
        "secret": frozen.secret_key,
        "session_token": frozen.token,
        "region": region,
        "scope": f"s3://{storage.bucket}",
    }
    if not host.endswith(".amazonaws.com"):
        options |= {"endpoint": host, "url_style": "path", "use_ssl": str(scheme == "https")}
    listed = ", ".join(f"{name} {quoted(value)}" for name, value in options.items() if value)
    try:
        connection.execute(f"create or replace temporary secret lake (type s3, {listed})")
    except duckdb.Error:
        # The message of DuckDB may quote the statement, and with it the secret.
        raise LakeError(f"DuckDB did not take the AWS credentials for {storage.root}.") from None


def _httpfs() -> str:
    """Return the path of the extension that the wheel of the same DuckDB version carries."""
    import duckdb_extension_httpfs

    folder = Path(duckdb_extension_httpfs.__file__).parent / "extensions"
    return str(folder / f"v{duckdb.__version__}" / "httpfs.duckdb_extension")


def quoted(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
