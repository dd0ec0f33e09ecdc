"""The older versions of PostgreSQL that a cache may be on, as packages of npm bring them."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running_product import free_port
from tidewell.state.serveruser import server_user

_PACKAGES = Path(__file__).parents[2] / "postgresql"
_MACHINE = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}[platform.machine()]
VERSIONS = sorted(
    int(name.split("-")[1])
    for name in json.loads((_PACKAGES / "package.json").read_text())["optionalDependencies"]
    if name.endswith(_MACHINE)
)
"""Major versions; some have no package for some processors."""


@contextmanager
def older_server(version: int, folder: Path) -> Iterator[str]:
    """Start one on 127.0.0.1, trusting; gives its superuser's address."""
    package = _PACKAGES / "node_modules" / f"postgresql-{version}-{_MACHINE}"
    programs = package / "native" / "bin"
    assert programs.is_dir(), f"{package} is missing: make install-dev"
    data = folder / "data"
    data.mkdir(mode=0o700)
    user = server_user(folder, programs)
    user.give(data)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    run([*user.prefix, *initdb, "-E", "UTF8", "--locale=C.UTF-8"])
    port = free_port()
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    control = [*user.prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    run([*control, "-o", settings, "-l", str(data / "log"), "start"])
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run([*control, "-m", "immediate", "stop"])


def run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
