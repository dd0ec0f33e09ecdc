"""PostgreSQL and the nodes of a cluster, each on a host of its own."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import psycopg

from tests.cluster.hosts import Hosts
from tests.product import environment
from tidewell.state.embedded import binaries
from tidewell.state.serveruser import server_user

# The commit whose version the cluster is rolled from; without one it is this version, too.
BEFORE = os.environ.get("CLUSTER_BEFORE", "")
PORT = 8080
_ROOT = Path(__file__).parents[2]
NOW = _ROOT / "src"
_PROGRAM = "import sys; from tidewell.cli import main; main()"


def code_before(folder: Path) -> Path:
    """The sources of the version before this one, out of the repository's history."""
    if not BEFORE:
        return NOW
    done = subprocess.run(
        ["git", "-C", str(_ROOT), "archive", BEFORE, "src"], capture_output=True, check=False
    )
    assert done.returncode == 0, f"this checkout has no {BEFORE}: {done.stderr.decode()}"
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@contextmanager
def postgres(hosts: Hosts, folder: Path) -> Iterator[str]:
    """A PostgreSQL on a host of its own; gives its superuser's address."""
    address, data = hosts.add("postgres"), folder / "data"
    data.mkdir(mode=0o700)
    user = server_user(folder, binaries())
    user.give(data)
    initdb = [str(binaries() / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    subprocess.run([*user.prefix, *initdb], check=True, capture_output=True, cwd="/")
    with (data / "pg_hba.conf").open("a") as file:
        file.write(f"host all all {hosts.network} trust\n")
    server = [str(binaries() / "postgres"), "-D", str(data)]
    options = ["-c", f"listen_addresses={address}", "-c", "unix_socket_directories="]
    with (folder / "postgres.log").open("ab") as log:
        running = subprocess.Popen(
            hosts.on("postgres", *user.prefix, *server, *options),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"postgresql://postgres@{address}/postgres"
    try:
        _wait_for(url)
        yield url
    finally:
        running.send_signal(signal.SIGQUIT)
        running.wait(30)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.2)
        else:
            return


@dataclass
class Node:
    """A process on a host, of one version of the code."""

    host: str
    arguments: tuple[str, ...]
    source: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Nodes:
    """All of them; `keep_up` starts those that have died."""

    hosts: Hosts
    folder: Path
    settings: dict[str, str]
    source: Path
    all: dict[str, Node] = field(default_factory=dict)

    def add(self, host: str, *arguments: str) -> str:
        """A node on a new host; returns the address."""
        address = self.hosts.add(host)
        given = [one.replace("ADDRESS", address) for one in arguments]
        self.all[host] = Node(host, tuple(given), self.source)
        return address

    def keep_up(self) -> None:
        for node in self.all.values():
            if not node.is_up:
                self._start(node)

    def kill(self, host: str) -> None:
        """kill -9."""
        process = self.all[host].process
        assert process is not None
        process.kill()
        process.wait()

    def roll(self, host: str, source: Path) -> None:
        """End a node in good order, and start it again from other sources."""
        node = self.all[host]
        assert node.process is not None
        node.process.terminate()
        node.process.wait(60)
        node.source = source
        self._start(node)

    def run(self, source: Path, *arguments: str) -> None:
        """A command on PostgreSQL's host, to its end."""
        done = subprocess.run(
            self.hosts.on("postgres", sys.executable, "-c", _PROGRAM, *arguments),
            env=self._environment(source),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        running = [node.process for node in self.all.values() if node.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, node: Node) -> None:
        with (self.folder / f"{node.host}.log").open("ab") as log:
            node.process = subprocess.Popen(
                self.hosts.on(node.host, sys.executable, "-c", _PROGRAM, *node.arguments),
                env=self._environment(node.source),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _environment(self, source: Path) -> dict[str, str]:
        return environment(self.settings) | {"PYTHONPATH": str(source)}
