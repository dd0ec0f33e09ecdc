"""Egress rules: which addresses may be reached on behalf of a customer.

A customer names hosts: of its cache, of its sources. Whoever may name a host could make this
process knock on doors inside the operator's own network. So a name is resolved once, every address
is judged, and the connection goes to the very address that was judged (no second look at DNS).

Public addresses are allowed. Private ones, loopback included, only where the operator lists them
(TIDEWELL_EGRESS_ALLOW). Link-local addresses and the cloud's metadata services never.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tidewell.errors import TidewellError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # "this host": Linux takes 0.0.0.0 for loopback
        "169.254.0.0/16",  # link-local; metadata of AWS, Azure, Google, OpenStack …
        "100.100.100.200/32",  # metadata of Alibaba
        "168.63.129.16/32",  # Azure's own services
        "192.0.0.192/32",  # metadata of Oracle
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",  # metadata of AWS
        "fd20:ce::254/128",  # metadata of Google
        "ff00::/8",
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SEPARATORS = re.compile(r"[\s,;]+")


class HostNotFound(TidewellError):
    """The name of a host leads to no address."""

    code = "HOST_NOT_FOUND"
    status = 400


class EgressRefused(TidewellError):
    """This host may not be reached from here; the operator can allow it (TIDEWELL_EGRESS_ALLOW)."""

    code = "EGRESS_REFUSED"
    status = 400


@dataclass(frozen=True)
class EgressRules:
    """The private networks and hosts that an operator allows."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "EgressRules":
        """Rules of a list: networks (10.0.0.0/8), addresses, hosts, and any of them with a port.

        Raises ValueError that names the part which is none of these.
        """
        networks: list[Network] = []
        hosts: set[str] = set()
        for part in filter(None, _SEPARATORS.split(text.strip())):
            try:
                networks.append(ipaddress.ip_network(part, strict=False))
            except ValueError:
                if "/" in part or not re.fullmatch(r"[\w.:\[\]-]+", part):
                    raise ValueError(f"{part[:60]!r} is no network, address or host") from None
                hosts.add(part.lower())
        return cls(tuple(networks), frozenset(hosts))

    def resolve(self, host: str, port: int) -> str:
        """The one address to connect to. Raises HostNotFound, EgressRefused.

        The refusal is the same whatever listens there, and nothing is sent to find out.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise HostNotFound(f"The host {host} is not found.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        for text in addresses:
            if self._allows(ipaddress.ip_address(text), host, port):
                return text
        raise EgressRefused(
            f"{host} may not be reached from here: it leads to a private or reserved address. "
            "The operator of this service can allow it with TIDEWELL_EGRESS_ALLOW."
        )

    def lists(self, host: str, port: int) -> bool:
        """Whether the operator lists this very host or address; a public one need not be.

        For drivers that go to one vendor's hosts, and elsewhere only where the operator says so.
        """
        name = host.lower().strip("[]")
        if {name, f"{name}:{port}", f"[{name}]:{port}"} & self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def _allows(self, address: Address, host: str, port: int) -> bool:
        judged = list(_meant(address))
        if any(one in network for one in judged for network in _NEVER):
            return False
        if all(one.is_global for one in judged):
            return True
        names = {host.lower(), str(address)}
        listed = names | {f"{name}:{port}" for name in names} | {f"[{address}]:{port}"}
        return bool(self.hosts & listed) or any(address in network for network in self.networks)


def _meant(address: Address) -> Iterable[Address]:
    """An address, and the IPv4 address that it stands for, where it stands for one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
            return
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield address.teredo[1]
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
            return
    yield address
