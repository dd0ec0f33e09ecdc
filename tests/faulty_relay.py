"""A TCP relay: an address through which a server is reached, with whatever a network does to it."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PIECE = 65_536
_DRIP_SECONDS = 0.01
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What happens to connections; by default, nothing.

    `latency`: seconds that each piece takes. `drip`: so many bytes at a time, 100 times a second.
    `silent`: what comes is swallowed, and the connection stays (half-open). `reset_after`: bytes of
    both directions together, then both ends get a reset. `cut_after`: when the client has sent
    these words, one after the other, the last of them still reaches the server and both ends are
    closed before it answers; with `unsent`, the last of them does not reach it either; with `stays`
    the connection of the client is not closed and hears nothing any more. `afterwards` is then the
    fault of all that comes.
    """

    latency: float = 0.0
    drip: int = 0
    silent: bool = False
    reset_after: int | None = None
    cut_after: tuple[bytes, ...] = ()
    unsent: bool = False
    stays: bool = False
    afterwards: "Fault | None" = None


class Relay:
    """Passes every connection on to a server; `cut` ends them all and takes no new ones.

    `fault` may change at any time and counts for what stands and what comes; `struck` tells how
    often one has ended a connection.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.fault = Fault()
        self.struck = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Refuse every connection from now on, and end those that stand."""
        with suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.end()

    def end(self) -> None:
        """End the connections that stand."""
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:  # the server is away
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            link = _Link(self, near, far)
            for up in (True, False):
                threading.Thread(target=self._pass_on, args=(link, up), daemon=True).start()

    def _pass_on(self, link: "_Link", up: bool) -> None:
        source, sink = (link.near, link.far) if up else (link.far, link.near)
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                link.pass_on(piece, sink, up)
        if not link.over:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)
            last = sink not in self._open
        if last:
            source.close()
            sink.close()


class _Link:
    """One connection of a client (near) with the server (far)."""

    def __init__(self, relay: Relay, near: socket.socket, far: socket.socket) -> None:
        self._relay = relay
        self.near = near
        self.far = far
        self._passed = 0
        self._heard = 0
        self.over = False

    def pass_on(self, piece: bytes, sink: socket.socket, up: bool) -> None:
        """Pass a piece on, or do to it what the fault says. Raises OSError: it is over."""
        fault = self._relay.fault
        if fault.silent or self.over:
            return
        if fault.latency:
            time.sleep(fault.latency)
        if up and fault.cut_after and self._hears_all(piece, fault.cut_after):
            self.over = True  # the answer, however fast it is, goes nowhere
            self._relay.fault = fault.afterwards or fault
            if not fault.unsent:
                self.far.sendall(piece)
            if fault.stays:
                self._relay.struck += 1
                return
            self._end(self.near)
        self._passed += len(piece)
        if fault.reset_after is not None and self._passed > fault.reset_after:
            self.over = True
            self._end(self.near, self.far)
        at_once = fault.drip or len(piece)
        for start in range(0, len(piece), at_once):
            sink.sendall(piece[start : start + at_once])
            if fault.drip:
                time.sleep(_DRIP_SECONDS)

    def _hears_all(self, piece: bytes, words: tuple[bytes, ...]) -> bool:
        """Whether this piece has the last of the words; a word is never torn over two pieces."""
        for word in words[self._heard :]:
            found = piece.find(word)
            if found < 0:
                return False
            self._heard += 1
            piece = piece[found + len(word) :]
        return True

    def _end(self, *reset: socket.socket) -> None:
        """End both sides, these with a reset."""
        self._relay.struck += 1
        for one in reset:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for one in (self.near, self.far):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RD)  # wakes who reads, and says nothing to the other end
        raise ConnectionResetError


@contextmanager
def relay(host: str, port: int) -> Iterator[Relay]:
    """A relay to a server, cut off at the end."""
    running = Relay(host, port)
    try:
        yield running
    finally:
        running.cut()
