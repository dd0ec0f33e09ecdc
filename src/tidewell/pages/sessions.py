"""A page's own short session: a reload, a slow typist or the back button loses nothing.

It is begun by a valid link and lives in a signed cookie that only our pages get. It holds the
link's claims, no secret. Each use of the page lets it live for another hour, up to half a day.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from tidewell.connections.links import Link
from tidewell.connections.sealing import SealingBox

LIVES_FOR = timedelta(hours=1)
LONGEST = timedelta(hours=12)
PATH = "/oem/"
_AUDIENCE = "tidewell.form"
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class Session:
    """One opened form: its id (that of the link's token) and what it is for."""

    id: UUID
    link: Link
    csrf: str
    claims: dict[str, Any] = field(repr=False)

    def is_from_its_page(self, csrf: str) -> bool:
        """Whether a form carries this session's own mark."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """Begins sessions and finds them again."""

    def __init__(self, sealing: SealingBox) -> None:
        self._key = sealing.derived(b"form sessions")

    def begin(self, claims: dict[str, Any]) -> Session:
        """A session for a link's verified claims."""
        return self._session(claims)

    def cookie(self, session: Session, now: datetime) -> str:
        """The value of a session's cookie, which lives on from now."""
        kept = session.claims | {"aud": _AUDIENCE, "exp": now + LIVES_FOR}
        return jwt.encode(kept, self._key, algorithm=_ALGORITHM)

    def find(self, form: str, cookies: dict[str, str], now: datetime) -> Session | None:
        """The session of a form's id, if its cookie came along and it still lives."""
        try:
            claims = jwt.decode(
                cookies.get(cookie_name(UUID(form)), ""),
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"verify_exp": False, "verify_nbf": False, "verify_sub": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        ends = min(claims["exp"], claims["nbf"] + LONGEST.total_seconds())
        if claims["jti"] != form or now.timestamp() >= ends:
            return None
        return self._session(claims)

    def _session(self, claims: dict[str, Any]) -> Session:
        identity = UUID(claims["jti"])
        csrf = hmac.new(self._key, b"csrf " + identity.bytes, hashlib.sha256).hexdigest()
        return Session(identity, Link.from_claims(claims), csrf, claims)


def cookie_name(form: UUID) -> str:
    """The cookie of one form: several may be open at a time."""
    return f"tidewell_form_{form.hex[:12]}"
