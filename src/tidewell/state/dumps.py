"""A dump of the state database, and its restore: `pg_dump` and `pg_restore` of the wheel.

They are of the embedded server's version, 18, and read every older server, which a `pg_dump` that
is older than its server refuses to do.
"""

import os
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tidewell.errors import TidewellError
from tidewell.state import schema
from tidewell.state.embedded import binaries

# What the programs take from the environment; a password has no place on a command line.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
}


def dump(url: str, file: Path) -> None:
    """Write the state into a new file, for its owner's eyes; nodes may go on meanwhile.

    Raises TidewellError: the file is there already, or the database cannot be read.
    """
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise TidewellError(f"{file} is there already: choose another name.") from None
    except OSError as error:
        raise TidewellError(f"{file} cannot be written: {error.strerror}.") from None
    try:
        _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")
    except BaseException:
        file.unlink()
        raise


def restore(url: str, file: Path) -> None:
    """Put a dump into an empty database: all of it or nothing.

    Raises TidewellError: the database has a state already, or the dump cannot be restored.
    """
    if schema.version(url) is not None:
        raise TidewellError(
            "This state database is not empty: restore into a new one (another TIDEWELL_HOME, or "
            "TIDEWELL_DATABASE_URL of an empty database)."
        )
    _run(
        url,
        "pg_restore",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        f"--dbname={conninfo_to_dict(url).get('dbname', '')}",
        str(file),
    )


def _run(url: str, program: str, *arguments: str) -> None:
    given = conninfo_to_dict(url)
    variables = {
        _VARIABLES[name]: str(value) for name, value in given.items() if name in _VARIABLES
    }
    done = subprocess.run(  # noqa: S603 - a program of the wheel with our own arguments
        [str(binaries() / program), "--no-password", *arguments],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TidewellError(f"{program} says: {done.stderr.strip()}")
