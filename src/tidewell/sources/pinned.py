"""HTTP to addresses that the egress rules allow, each name resolved once."""

import httpx

from tidewell.egress import EgressRules


class PinnedTransport(httpx.HTTPTransport):
    """Connects to the judged address; TLS and the Host header still go by the name."""

    def __init__(self, rules: EgressRules) -> None:
        super().__init__()
        self._rules = rules
        self._addresses: dict[tuple[str, int], str] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises HostNotFound, EgressRefused, httpx.TransportError."""
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        key = (url.host, port)
        if key not in self._addresses:
            self._addresses[key] = self._rules.resolve(*key)
        return super().handle_request(
            httpx.Request(
                request.method,
                url.copy_with(host=self._addresses[key]),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
        )
