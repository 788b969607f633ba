"""Who may use the web panel: this machine alone, or whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass

COOKIE = "deft_token"
LOCAL_NAMES = ("localhost",)


def is_local(host: str) -> bool:
    """Whether a host's name or address is this machine's loopback."""
    try:
        return host in LOCAL_NAMES or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(18)


@dataclass(frozen=True)
class Access:
    """Decides on requests.

    Attributes:
        token: what must be shown; "" where only this machine can reach the server.
    """

    token: str

    def refusal(self, host: str, shown: str) -> str:
        """Why a request is refused, "" where it is not.

        Args:
            host: the request's Host, without its port. Where there is no token it must be this machine's, or a page of
                another site whose name was pointed at this machine could send requests.
            shown: the token that the request carries, "" for none.
        """
        if not self.token:
            return "" if is_local(host) else f"this panel is for this machine alone, not for '{host}'"
        if hmac.compare_digest(shown.encode(), self.token.encode()):
            return ""
        return "open the address with ?token=... that `deft panel --web` printed"
