"""The sample lake on S3: seconds and requests of its first build, and of one with nothing to do.

python -m benchmarks s3

The server is Ceph RGW where it is installed. A proxy in front of it counts the requests of all
processes.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.building import BIN, run_dbt
from benchmarks.measure import HEADER, Cost, measure
from tests.s3.faults import FaultProxy, Request
from tests.s3.launch import describe, start_server
from ticklake.commands.demo import LANDINGS, SAMPLE

BUCKET = "ticklake-bench"
CHOSEN = ("hyperliquid ", "capture --exchange binance-futures")
"""Of the landings of the demo, those whose rows make a lake of some 90 partitions."""


def main() -> None:
    """Measure both builds on S3, and the same builds on a copy in a local folder."""
    with (
        tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder,
        start_server() as server,
        FaultProxy(server.endpoint) as proxy,
    ):
        root = Path(folder)
        local, remote = root / "local", root / "s3"
        land_sample(root, local / "lake")
        client = server.client()
        client.create_bucket(Bucket=BUCKET)
        for path in (local / "lake").rglob("*"):
            if path.is_file():
                client.upload_file(str(path), BUCKET, f"lake/{path.relative_to(local / 'lake')}")
        env = {"LAKE_ROOT": f"s3://{BUCKET}/lake", **server.env(proxy.endpoint)}

        def build(place: Path, settings: Mapping[str, str]) -> tuple[Cost, Counter[str]]:
            proxy.requests.clear()
            cost = run_dbt(place, "build", **settings)
            return cost, Counter(_kind(request) for request in proxy.requests)

        for place, settings in ((local, {}), (remote, env)):
            run_dbt(place, "parse", **settings)  # the first one reads every model
        first_local, _ = build(local, {})
        nothing_local, _ = build(local, {})
        first, first_requests = build(remote, env)
        nothing, nothing_requests = build(remote, env)
        partitions = sum(1 for _ in (local / "lake").glob("*/*/**/data.parquet"))
    print(f"\nThe sample lake on S3: dbt build of {partitions} partitions. {describe()}\n{HEADER}")
    print(first_local.row("first build, local"))
    print(first.row("first build, S3") + f"  {_said(first_requests)}")
    print(nothing_local.row("nothing to do, local"))
    print(nothing.row("nothing to do, S3") + f"  {_said(nothing_requests)}")
    print(f"nothing to do takes {nothing.wall - nothing_local.wall:.1f} s more than locally")


def land_sample(folder: Path, lake: Path) -> None:
    """Write the sample files of one day; land fills and the captures of an exchange locally."""
    source = folder / SAMPLE
    measure([str(BIN / "ticklake"), "sample", "--days", "1", str(source)])
    for landing in (text for text in LANDINGS if text.startswith(CHOSEN)):
        command = ["ticklake land", *landing.replace(SAMPLE, str(source)).split()]
        # The shell puts files in place of patterns.
        measure(["sh", "-c", f"{BIN}/{' '.join(command)}"], {"LAKE_ROOT": str(lake)})


def _kind(request: Request) -> str:
    """Return the method; LIST for a GET of a bucket."""
    is_bucket = urlsplit(request.path).path.strip("/") == BUCKET
    return "LIST" if request.method == "GET" and is_bucket else request.method


def _said(requests: Counter[str]) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in requests.most_common())
    return f"{requests.total():,} requests ({kinds})"
