"""What a server's URL says before anything is sent: whether a secret travels in it, and whether it is this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def holds_secret(url: str) -> bool:
    """Tell whether a URL carries what a server's base URL has no use for: a user name, a password, a query, a fragment.

    URLs are stored with a run and printed, so a key must not travel in one.

    Raises:
        ValueError: It is no URL, for example for half a pair of brackets.
    """
    parts = urlsplit(url)
    return "@" in parts.netloc or bool(parts.query or parts.fragment)


def is_this_machine(url: str) -> bool:
    """Tell whether a URL names the loopback interface, which no proxy can reach: 127.0.0.0/8, ::1 or localhost."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False
