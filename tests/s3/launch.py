"""Choose and start the S3 server of a test session: Ceph RGW where installed, else moto."""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.s3 import rgw
from tests.s3.server import S3Server

CHOICE = os.environ.get("TICKLAKE_TEST_S3")  # `rgw` or `moto`, to insist on one of them


def uses_rgw() -> bool:
    return rgw.is_installed() if CHOICE is None else CHOICE == "rgw"


def start_server() -> AbstractContextManager[S3Server]:
    """Run the most real S3 server that this machine has."""
    return rgw.start_rgw() if uses_rgw() else start_moto()


def describe() -> str:
    """Say which server the tests use and, where it is the lesser one, what to do."""
    if uses_rgw():
        return f"S3 in tests: Ceph RGW ({rgw.version()})"
    return (
        "S3 in tests: moto, which is NOT a real S3: it checks no credentials, for one, so some "
        "tests are skipped. For Ceph RGW: apt-get install radosgw ceph-mon ceph-osd ceph-common"
    )


@contextmanager
def start_moto() -> Iterator[S3Server]:
    """Run moto's server in a thread of this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}", "ticklakekey", "ticklakesecret", is_rgw=False)
    finally:
        server.stop()
