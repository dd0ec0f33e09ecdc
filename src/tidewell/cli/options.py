"""Options that many commands have."""

from typing import Annotated
from uuid import UUID

import typer

Url = Annotated[
    str, typer.Option(envvar="TIDEWELL_URL", help="Address of a server; empty: this machine's own.")
]
Token = Annotated[str, typer.Option(envvar="TIDEWELL_TOKEN", help="Token (JWT) for that server.")]
Sub = Annotated[
    UUID | None,
    typer.Option(envvar="TIDEWELL_SUB", help="Sub-account; without --url. None: the only one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
