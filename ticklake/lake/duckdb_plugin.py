"""The dbt-duckdb plugin of profiles.yml: prepares connections and lets Jinja call the lake."""

import gc
import os
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig

from ticklake.lake import materialization
from ticklake.lake.connection import prepare, prepare_cursor, reach, refresh_secret
from ticklake.lake.database import make_usable
from ticklake.lake.root import open_lake


class Plugin(BasePlugin):
    """Configured with `lake_root`: a folder, or `s3://bucket/prefix`."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._storage = open_lake(plugin_config["lake_root"])
        if self.creds is not None:
            self.creds.external_root = self._storage.root  # absolute: views work from any folder
            make_usable(self.creds.path)
        # dbt has its manifest, which stays: looking through it for garbage costs a second a build.
        gc.freeze()
        # Threads of NumPy's BLAS, which nothing here calls, wait in a loop at first: 50 ms.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def configure_connection(self, conn: Any) -> None:
        reach(self._storage)
        prepare(conn, self._storage)
        self._database = conn

    def configure_cursor(self, cursor: Any) -> None:
        prepare_cursor(cursor)
        refresh_secret(cursor, self._storage)

    def store(self, target_config: TargetConfig) -> None:
        """Put the answer of the lake into a question of Jinja's: see `macros/lake_call.sql`.

        dbt-duckdb hands a plugin nothing else than relations to store. A function in SQL would do
        too, but each of many questions would take a cursor, a statement and their log.
        """
        question = target_config.config
        question["answer"] = materialization.call(
            self._database, question["function"], question["arguments"]
        )
