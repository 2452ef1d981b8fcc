"""Addresses that a server listens on, bound before anything else is started."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Final

from dotpeen.errors import ConfigurationError

BACKLOG: Final = 2048
"""Connections that may wait to be accepted; the system may allow fewer (net.core.somaxconn)."""
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated, not bound


@dataclass(frozen=True)
class Listener:
    """An address and the sockets that listen on it."""

    name: str
    sockets: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host, port = self.sockets[0].getsockname()[:2]
        host = _EVERYWHERE.get(host, host)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def everywhere(self) -> bool:
        """Whether other machines reach it."""
        return self.sockets[0].getsockname()[0] in _EVERYWHERE

    def close(self) -> None:
        """Listen no longer in this process."""
        for one in self.sockets:
            one.close()


def listen(name: str, host: str, port: int, *, option: str) -> Listener:
    """Bind every address that `host` stands for; port 0 takes a free one.

    Raises `ConfigurationError`, whose hint names the `option` to change.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise ConfigurationError(
            f"{host!r} is no address of this machine and no name that it knows"
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            if port == 0 and sockets:
                # `localhost` is two addresses: the same port on both.
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_bind(family, address, both=host == "::"))
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(found) > len(sockets) + 1:
                    continue  # a name for IPv6, too, on a machine without
                raise
    except OSError as error:
        for one in sockets:
            one.close()
        raise _explained(error, host, port, option) from None
    return Listener(name, tuple(sockets))


def _bind(family: int, address: tuple[object, ...], *, both: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A server that was just stopped must not keep the next one from its port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.settimeout(0)
    except OSError:
        bound.close()
        raise
    return bound


def _explained(error: OSError, host: str, port: int, option: str) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"port {port} of {host} is in use",
            hint=f"by another `dotpeen serve`, perhaps; {option} takes another",
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(
            f"this user may not listen on port {port}",
            hint=f"take one above 1023: {option}, and a proxy before it",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(
            f"{host} is not an address of this machine",
            hint="127.0.0.1 is reached from this machine only, 0.0.0.0 from everywhere",
        )
    return ConfigurationError(f"can't listen on port {port} of {host}: {error.strerror}")
