"""The socket that the API listens on."""

import asyncio
import socket

import pytest

from tests.ports import free_port
from tidewell.cli.http import listen
from tidewell.errors import TidewellError


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(host: str) -> None:
    delays: list[int] = []

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        delays.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen(host, 0) as listener:
        server = await asyncio.start_server(accepted, sock=listener)
        async with server:
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            assert await reader.read() == b""
            writer.close()
    assert delays == [1]


def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(TidewellError, match=f"127.0.0.1:{port}.*--port"),
    ):
        listen("127.0.0.1", port)
