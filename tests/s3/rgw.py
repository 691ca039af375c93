"""A throw-away Ceph RGW: one monitor, one OSD in memory and one gateway, ready in about a second.

Each server has a folder and ports of its own, so several run side by side. No daemon outlives the
process that started it, even when that process is killed (`setpriv --pdeathsig`), and the folder of
a killed process is removed by whoever starts the next server.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.s3.server import S3Server
from ticklake.lake.storage.staging import scratch_folder, sweep_scratch

PROGRAMS = (
    "ceph-mon",
    "ceph-osd",
    "radosgw",
    "radosgw-admin",
    "ceph",
    "ceph-authtool",
    "monmaptool",
    "setpriv",
)
ACCESS_KEY = "ticklakekey"
SECRET_KEY = "ticklakesecret"
PORT_TRIES = 3  # another process may take a free port between our look and our bind
START_SECONDS = 30.0

CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
run dir = {folder}
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
keyring = {folder}/keyring
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
# One copy on one OSD in one placement group is a healthy cluster here.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw rados pool pg num min = 1
mon allow pool size one = true
mon osd min up ratio = 0
# A full disk is no reason for a cluster in memory to stop.
mon data avail crit = 1
# The monitor agrees with itself at once.
paxos propose interval = 0.05
paxos min wait = 0.01
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw dynamic resharding = false
"""


class RgwError(Exception):
    """The server did not start; the message holds what its daemons said."""


def is_installed() -> bool:
    """Tell whether everything that `start_rgw` runs is there."""
    return all(shutil.which(program) for program in PROGRAMS)


def version() -> str:
    """Return what RGW calls itself: `ceph version 16.2.15 pacific`."""
    words = subprocess.run(
        ["radosgw", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    return " ".join([*words[:3], *words[4:5]])


@contextmanager
def start_rgw() -> Iterator[S3Server]:
    """Run a server for as long as the context lasts."""
    # Short, because the path of a Unix socket may not be longer than 107 bytes.
    parent = Path(tempfile.gettempdir()) / "ticklake-rgw"
    sweep_scratch(parent)
    with ExitStack() as stack:
        for attempt in range(1, PORT_TRIES + 1):
            cluster = stack.enter_context(ExitStack())
            folder = cluster.enter_context(scratch_folder(parent))
            try:
                server = _start(folder, cluster)
                break
            except RgwError:
                cluster.close()
                if attempt == PORT_TRIES:
                    raise
        yield server


def _start(folder: Path, cluster: ExitStack) -> S3Server:
    """Start the daemons; `cluster` ends them, the gateway first."""
    port, mon_port = _free_ports(2)
    fsid = str(uuid.uuid4())
    conf = folder / "ceph.conf"
    conf.write_text(CONF.format(folder=folder, fsid=fsid, port=port, mon_port=mon_port))
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    monmap = str(folder / "monmap")

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RgwError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")

    def daemon(*command: str) -> subprocess.Popen[bytes]:
        output = cluster.enter_context((folder / f"{command[0]}.out").open("wb"))
        # A process group of its own: Ctrl-C is for pytest, which then ends the daemons.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command, "--conf", str(conf), "--foreground"],
            stdout=output,
            stderr=output,
            process_group=0,
        )
        cluster.callback(_kill, process)
        return process

    def wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = "\n".join(file.read_text()[-1000:] for file in folder.glob("*.out"))
                raise RgwError(f"Ceph RGW did not start in {START_SECONDS:.0f} s:\n{said}")
            time.sleep(0.02)

    _write_keyring(folder / "keyring")
    run(
        "monmaptool",
        "--create",
        "--fsid",
        fsid,
        "--addv",
        "a",
        f"[v2:127.0.0.1:{mon_port}]",
        monmap,
    )
    run("ceph-mon", "-c", str(conf), "--mkfs", "-i", "a", "--monmap", monmap)
    daemon("ceph-mon", "-i", "a")
    osd = str(uuid.uuid4())
    run("ceph", "-c", str(conf), "osd", "new", osd)
    run("ceph-osd", "-c", str(conf), "-i", "0", "--mkfs", "--osd-uuid", osd)
    wait(daemon("ceph-osd", "-i", "0"), lambda: _osd_state(folder / "osd.0.asok") == "active")
    run(
        *("radosgw-admin", "-c", str(conf), "user", "create", "--uid=test", "--display-name=test"),
        *(f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}"),
    )
    endpoint = f"http://127.0.0.1:{port}"
    wait(daemon("radosgw", "-n", "client.rgw"), lambda: _answers(endpoint))
    return S3Server(endpoint, ACCESS_KEY, SECRET_KEY, is_rgw=True)


def _write_keyring(path: Path) -> None:
    """Give every daemon a key that may do everything."""
    for number, name in enumerate(("mon.", "client.admin", "client.rgw", "osd.0")):
        caps = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"]
        create = [] if number else ["--create-keyring"]
        subprocess.run(
            ["ceph-authtool", path, *create, "--gen-key", "--name", name, *caps],
            stdout=subprocess.DEVNULL,
            check=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a daemon at once: there is nothing in it to save."""
    process.kill()
    process.wait()


def _osd_state(admin_socket: Path) -> str | None:
    """Ask the OSD itself, as the `ceph` command would, without the half second that takes."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(admin_socket))
            connection.sendall(b'{"prefix": "status"}\0')
            answer = connection.makefile("rb").read()[4:]  # after its length
            return str(json.loads(answer)["state"])
        except (OSError, ValueError, KeyError):
            return None


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(endpoint, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    """Find ports that are free now, all open at once so that no two are the same."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
