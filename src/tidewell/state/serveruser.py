"""Under which user the embedded PostgreSQL runs: our own, but never root, which it refuses.

As root it is the system user `tidewell`. That user must be able to enter the folders of the server
and of its programs; where one of them is closed to others (root's own home, a private temporary
folder) the server gets the one capability to pass through it, and no folder is opened for all.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tidewell.errors import TidewellError

NAME = "tidewell"
_FALLBACK = "nobody"
_USERS = "/etc/passwd"
_PASS = "+dac_read_search"  # noqa: S105 - the name of a capability
_PASS_BIT = 2  # CAP_DAC_READ_SEARCH, capabilities(7)


@dataclass(frozen=True)
class ServerUser:
    """How to run the server's programs: a command prefix, and who owns its files (None: we do)."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def give(self, path: Path) -> None:
        """Make the server the owner of a file or folder."""
        if self.owner is not None:
            os.chown(path, *self.owner)


def server_user(*folders: Path) -> ServerUser:
    """The user for a server that has to enter these folders.

    Raises:
        TidewellError: as root, where no unprivileged user can enter them; it names the folder.
    """
    if os.geteuid() != 0:
        return ServerUser()
    entry = _entry()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise TidewellError(
            "PostgreSQL refuses to run as root, and there is no setpriv (util-linux) to change "
            "the user: run Tidewell as another user, or set TIDEWELL_DATABASE_URL."
        )
    prefix = [setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    closed = next((folder for folder in folders if not _open_to_others(folder)), None)
    if closed is not None:
        if not _may_pass():
            raise TidewellError(
                f"As root, the embedded PostgreSQL runs as the user {entry.pw_name}, which cannot "
                f"enter {closed}: set TIDEWELL_HOME to a folder that it can enter, such as "
                "/var/lib/tidewell, or run Tidewell as another user."
            )
        prefix += [f"--inh-caps={_PASS}", f"--ambient-caps={_PASS}"]
    return ServerUser(tuple(prefix), (entry.pw_uid, entry.pw_gid))


def _entry() -> pwd.struct_passwd:
    """The system user of the server; made on the first time."""
    return _known(NAME) or _made() or pwd.getpwnam(_FALLBACK)


def _made() -> pwd.struct_passwd | None:
    """Make the user, one server at a time.

    Of two `useradd`s side by side the later one can replace what the earlier one made, by a user
    of the same name and another number.
    """
    useradd = shutil.which("useradd")
    if useradd is None:
        return None
    with Path(_USERS).open("rb") as users:
        fcntl.flock(users, fcntl.LOCK_EX)  # useradd's own lock is another file
        if _known(NAME) is None:
            subprocess.run(  # noqa: S603 - fixed arguments
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME],
                capture_output=True,
                check=False,
            )
    return _known(NAME)


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _open_to_others(folder: Path) -> bool:
    """Whether anybody may pass through every folder down to this one."""
    return all(path.stat().st_mode & 0o001 for path in [folder, *folder.resolve().parents])


def _may_pass() -> bool:
    """Whether this process can hand on the capability to pass through closed folders."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> _PASS_BIT & 1)
    return False
