"""Who may do what on the test Hub: accounts, their tokens, and signing in with a code."""

import secrets
import time
from dataclasses import dataclass, field

__all__ = ["Account", "Accounts"]


@dataclass
class Account:
    """``groups`` are the organisations whose repositories it may write."""

    name: str
    role: str = "write"
    groups: list[str] = field(default_factory=list)


@dataclass
class Pending:
    user_code: str
    until: float
    outcome: str = "authorization_pending"
    token: str = ""


class Accounts:
    def __init__(self) -> None:
        self.tokens: dict[str, Account] = {}
        self.interval, self.expires_in, self.slow_down = 1, 900, 0
        self.lasts: int | None = None
        self._pending: dict[str, Pending] = {}
        self._renewals: dict[str, str] = {}

    def add(self, name: str, role: str = "write", groups: tuple[str, ...] = (), token: str = "") -> str:
        token = token or "hf_" + secrets.token_urlsafe(24)
        self.tokens[token] = Account(name, role, list(groups))
        return token

    def revoke(self, token: str) -> None:
        del self.tokens[token]

    def begin(self, endpoint: str) -> dict:
        """Answer to POST /oauth/device (RFC 8628, section 3.2)."""
        letters = secrets.token_hex(4).upper()
        device, user_code = secrets.token_urlsafe(24), f"{letters[:4]}-{letters[4:]}"
        self._pending[device] = Pending(user_code, time.monotonic() + self.expires_in)
        return {
            "device_code": device,
            "user_code": user_code,
            "verification_uri": f"{endpoint}/oauth/device",
            "verification_uri_complete": f"{endpoint}/oauth/device?user_code={user_code}",
            "interval": self.interval,
            "expires_in": self.expires_in,
        }

    def poll(self, device: str) -> tuple[int, dict]:
        """Answer to POST /oauth/token (section 3.5): status and body. A token is handed out once."""
        asked = self._pending.get(device)
        if asked is None:
            return 400, {"error": "invalid_grant", "error_description": "Unknown device code"}
        if self.slow_down:
            self.slow_down -= 1
            return 400, {"error": "slow_down"}
        if time.monotonic() > asked.until:
            return 400, {"error": "expired_token"}
        if not asked.token:
            return 400, {"error": asked.outcome}
        del self._pending[device]
        return 200, self._granted(asked.token)

    def renew(self, renewal: str) -> tuple[int, dict]:
        """A new token for an old one, which ends; a renewal is good for once."""
        token = self._renewals.pop(renewal, None)
        if token not in self.tokens:
            return 400, {"error": "invalid_grant"}
        account = self.tokens.pop(token)
        return 200, self._granted(self.add(account.name, account.role, tuple(account.groups)))

    def _granted(self, token: str) -> dict:
        said = {"access_token": token, "token_type": "bearer", "scope": "openid profile read-repos"}
        if self.lasts is None:
            return said
        renewal = secrets.token_urlsafe(24)
        self._renewals[renewal] = token
        return said | {"expires_in": self.lasts, "refresh_token": renewal}

    def settle(self, name: str | None) -> str:
        """The person at the browser says yes as ``name`` (None: no) to each code that waits; the token."""
        token = "" if name is None else self.add(name)
        waiting = [each for each in self._pending.values() if not each.token]
        if not waiting:
            raise ValueError("No code waits to be typed in.")
        for asked in waiting:
            asked.token, asked.outcome = token, "access_denied" if name is None else asked.outcome
        return token
