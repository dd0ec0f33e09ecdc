"""The user of the embedded PostgreSQL: several servers that start at once agree on it."""

import os
import subprocess
import sys
from pathlib import Path

from tidewell.state.serveruser import server_user

STARTERS = 6
# In a mount namespace: /etc is a copy without the user, and nothing outside changes.
SCRIPT = """
set -eu
mkdir "$1/etc"
mount -t tmpfs none "$1/etc"
cp -a /etc/. "$1/etc/"
mount --bind "$1/etc" /etc
sed -i /^tidewell:/d /etc/passwd /etc/group /etc/shadow /etc/gshadow
for i in $(seq "$3"); do "$2" -c "$4" & done
wait
"""
STARTER = """
import os
from pathlib import Path
from tidewell.state.serveruser import server_user
os.write(1, b"%d:%d " % server_user(Path("/")).owner)
"""


def test_several_first_starts_at_once_agree_on_the_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:  # the server then is this very user's
        assert server_user(tmp_path).owner is None
        return
    done = subprocess.run(
        [
            *("unshare", "-m", "sh", "-c", SCRIPT, "sh"),
            *(str(tmp_path), sys.executable, str(STARTERS), STARTER),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    owners = done.stdout.split()
    assert len(owners) == STARTERS
    assert len(set(owners)) == 1, owners
