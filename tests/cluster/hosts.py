"""Several hosts on one machine: network namespaces on one switch, whose cables can be pulled.

The hosts have addresses of a free /24 in 198.18.0.0/15, which is kept for measurements of networks
(RFC 2544). It takes root, and `ip` and `tc` of iproute2.
"""

import os
import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_OURS = re.compile(r"tw(\d+)-\w+")


class Hosts:
    """A switch in a namespace of its own, hosts on it, and a cable to it from this process."""

    def __init__(self) -> None:
        assert os.geteuid() == 0, "only root can make network namespaces"
        self._name = f"tw{os.getpid()}"
        self._switch = f"{self._name}-switch"
        self._numbers: dict[str, int] = {}
        self._namespaces: list[str] = []

    def __enter__(self) -> Self:
        _remove_leftovers()
        self._prefix = _free_prefix()
        self._namespace(self._switch)
        _run("ip", "-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._switch, "link", "set", "bridge", "up")
        # Ours is the only cable that does not end in a namespace; it goes with the switch.
        _run("ip", "link", "add", self._name, "type", "veth", "peer", "us", "netns", self._switch)
        self._plug("us")
        _run("ip", "address", "add", f"{self._prefix}.254/24", "dev", self._name)
        _run("ip", "link", "set", self._name, "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "delete", namespace], check=False)

    @property
    def network(self) -> str:
        """Where all of them are."""
        return f"{self._prefix}.0/24"

    def add(self, host: str) -> str:
        """A new host; returns its address."""
        number = self._numbers[host] = len(self._numbers) + 1
        namespace = self._of(host)
        self._namespace(namespace)
        inner = ["ip", "-n", namespace]
        cable = ["type", "veth", "peer", f"p{number}", "netns", self._switch]
        _run(*inner, "link", "add", "eth0", *cable)
        self._plug(f"p{number}")
        _run(*inner, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
        _run(*inner, "link", "set", "eth0", "up")
        return self.address(host)

    def address(self, host: str) -> str:
        """Where a host is reached."""
        return f"{self._prefix}.{self._numbers[host]}"

    def on(self, host: str, *command: str) -> list[str]:
        """A command that runs on a host; it becomes the command's own process."""
        return ["ip", "netns", "exec", self._of(host), *command]

    def pull(self, host: str) -> None:
        """Pull a host's cable: whatever is under way is lost, and nobody is told."""
        _run("ip", "-n", self._switch, "link", "set", f"p{self._numbers[host]}", "down")

    def plug(self, host: str) -> None:
        """Plug it in again."""
        _run("ip", "-n", self._switch, "link", "set", f"p{self._numbers[host]}", "up")

    def slow(self, host: str, rate: str) -> None:
        """Let so much through, both ways, as `tc` writes it (`256kbit`)."""
        bucket = ["root", "tbf", "rate", rate, "burst", "16kb", "latency", "300ms"]
        for namespace, device in self._ends(host):
            _run("tc", "-n", namespace, "qdisc", "replace", "dev", device, *bucket)

    def quicken(self, host: str) -> None:
        """Let everything through again."""
        for namespace, device in self._ends(host):
            _run("tc", "-n", namespace, "qdisc", "delete", "dev", device, "root")

    def _ends(self, host: str) -> list[tuple[str, str]]:
        return [(self._of(host), "eth0"), (self._switch, f"p{self._numbers[host]}")]

    def _of(self, host: str) -> str:
        return f"{self._name}-{host}"

    def _namespace(self, name: str) -> None:
        _run("ip", "netns", "add", name)
        self._namespaces.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")

    def _plug(self, port: str) -> None:
        _run("ip", "-n", self._switch, "link", "set", port, "master", "bridge")
        _run("ip", "-n", self._switch, "link", "set", port, "up")


def _remove_leftovers() -> None:
    """Remove what a killed run of these tests has left: no process of its number lives."""
    for name in _run("ip", "netns", "list").split():
        ours = _OURS.fullmatch(name)
        if ours is not None and not Path("/proc", ours[1]).exists():
            _run("ip", "netns", "delete", name)


def _free_prefix() -> str:
    """The first three numbers of a network that no other cable of this machine leads to.

    What another one leads to is not reached by ours, or only by half of the packets.
    """
    taken = _run("ip", "-4", "-o", "address", "show")
    prefixes = (f"198.{18 + number // 256}.{number % 256}" for number in range(512))
    return next(prefix for prefix in prefixes if f" {prefix}." not in taken)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
