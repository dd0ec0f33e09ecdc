"""MailChimp's published description of its API, and Prism that answers as it says."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("mailchimp")
_DESCRIPTION = FOLDER / "node_modules/@datafire/mailchimp/openapi.json"
_START_SECONDS = 60
_LISTENS = re.compile(r"Prism is listening on http://[^:]+:(\d+)")


def description() -> dict[str, Any]:
    """The published description (Swagger 2.0)."""
    read: dict[str, Any] = json.loads(_DESCRIPTION.read_text())
    return read


@contextmanager
def prism(folder: Path) -> Iterator[str]:
    """Run Prism over the description; gives the root of the API."""
    served = description()
    # Prism leaves out the base path, which a client's URL has.
    served["paths"] = {f"/3.0{path}": one for path, one in served["paths"].items()}
    document, log = folder / "description.json", folder / "prism.log"
    document.write_text(json.dumps(served))
    binaries = Path(sys.executable).parent
    with log.open("wb") as output:
        running = subprocess.Popen(
            [
                *(str(binaries / "node"), "node_modules/@stoplight/prism-cli/dist/index.js"),
                *("mock", "--host", "127.0.0.1", "--port", "0", str(document)),
            ],
            cwd=FOLDER,
            env=os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Prism answers from a process that it starts itself: both are ended together.
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{_port(running, log)}/3.0"
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _port(running: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        found = _LISTENS.search(log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.1)
    raise AssertionError(f"Prism does not start:\n{log.read_text()}")
