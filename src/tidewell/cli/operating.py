"""What an operator starts: `tidewell serve`, `worker`, `ticker`, `demo` and `doctor`."""

from typing import Annotated

import typer

from tidewell.cli.doing import load_settings
from tidewell.cli.options import Json, Token, Url
from tidewell.settings import Settings


def _settings_help() -> str:
    lines = ["Settings, all from the environment:", "\n\n"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = getattr(default, "get_secret_value", lambda default=default: default)()
        lines.append(
            f"TIDEWELL_{name.upper()}: {field.description} "
            f"[default: {shown if shown != '' else 'empty'}]\n\n"
        )
    return "".join(lines)


_SETTINGS = _settings_help()

serve_app = typer.Typer(add_completion=False)
worker_app = typer.Typer(add_completion=False)
ticker_app = typer.Typer(add_completion=False)
demo_app = typer.Typer(add_completion=False)
doctor_app = typer.Typer(add_completion=False)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")]


@serve_app.command("serve", epilog=_SETTINGS)
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Execute runs here.")] = True,
    ticker: Annotated[
        bool, typer.Option("--ticker/--no-ticker", help="Queue due jobs here.")
    ] = True,
) -> None:
    """Serve the API, with a ticker and a worker, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - help needs none of it

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, host=host, port=port, worker=worker, ticker=ticker)


@worker_app.command("worker", epilog=_SETTINGS)
def worker() -> None:
    """Execute runs, without an API, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - as above

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, worker=True, ticker=False)


@ticker_app.command("ticker", epilog=_SETTINGS)
def ticker() -> None:
    """Queue due jobs, without an API and a worker, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - as above

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, worker=False, ticker=True)


@demo_app.command("demo", epilog=_SETTINGS)
def demo(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Serve with a vendor, a customer, a real data set and a job, to look at."""
    from tidewell.cli import demo as showing  # noqa: PLC0415 - as above

    showing.demo(load_settings(), host, port)


@doctor_app.command("doctor")
def check(url: Url = "", token: Token = "", as_json: Json = False) -> None:
    """Check settings, database, keys, caches, clock and egress, and say what to do."""
    from tidewell.cli.doctor import doctor  # noqa: PLC0415 - as above

    doctor(url, token, as_json=as_json)
