"""What never goes to a proxy: the addresses of this machine, at which the parts of Lumbargrade ask each other.

Hospitals set ``HTTP_PROXY`` for the whole machine and forget ``NO_PROXY``. All clients here (requests, httpx, urllib, aiohttp,
websockets; in Prefect and MLflow too) read the same variables, so these are where it is decided.
"""

from collections.abc import Mapping, MutableMapping
from importlib.util import find_spec
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def exempt_loopback(environment: MutableMapping[str, str]) -> None:
    """Adds this machine to what an environment exempts from its proxies; what the user exempts stays exempt.

    Proxies that no client here can use are removed: httpx, and Prefect with it, would refuse to ask anybody at all. Without a
    proxy's variable nothing is changed: on macOS and Windows an exemption alone would hide the system's proxies.

    Args:
        environment: Of this process, or of one that it starts.
    """
    for name in unusable_proxies(environment):
        del environment[name]
    if not proxies_of(environment):
        return
    given = next((environment[name] for name in _NAMES if environment.get(name)), "")  # some read one, some the other
    for name in _NAMES:
        exempt = [host.strip() for host in (environment.get(name) or given).split(",") if host.strip()]
        hosts = ["*"] if "*" in exempt else [*exempt, *(host for host in LOOPBACK if host not in exempt)]
        environment[name] = ",".join(hosts)


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that name a proxy, and the address that each has."""
    names = [name for name in environment if name.lower().endswith("_proxy") and name not in _NAMES]
    return {name: environment[name] for name in names if environment[name]}


def unusable_proxies(environment: Mapping[str, str]) -> list[str]:
    """The variables whose address is none, or of a kind of proxy that nothing here speaks, such as SOCKS without its package."""
    return [name for name, address in proxies_of(environment).items() if not _is_usable(address)]


def _is_usable(address: str) -> bool:
    schemes = {"http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ())}
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # its port is no number
        return False
