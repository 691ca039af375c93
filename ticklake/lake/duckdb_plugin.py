"""The dbt-duckdb plugin of profiles.yml: prepares connections and lets Jinja call the lake."""

import gc
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from ticklake.lake import materialization
from ticklake.lake.connection import prepare, prepare_cursor, refresh_secret
from ticklake.lake.storage import open_storage


class Plugin(BasePlugin):
    """Configured with `lake_root`: a folder, or `s3://bucket/prefix`."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._storage = open_storage(plugin_config["lake_root"])
        # dbt has its manifest, which stays: looking through it for garbage costs a second a build.
        gc.freeze()

    def configure_connection(self, conn: Any) -> None:
        prepare(conn, self._storage)
        conn.create_function(
            "lake_call",
            materialization.call,
            ["VARCHAR", "VARCHAR"],
            "VARCHAR",
            side_effects=True,
        )

    def configure_cursor(self, cursor: Any) -> None:
        prepare_cursor(cursor)
        refresh_secret(cursor, self._storage)
