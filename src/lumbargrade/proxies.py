"""What never goes to a proxy: the addresses of this machine, at which the parts of Lumbargrade ask each other.

Hospitals set ``HTTP_PROXY`` for the whole machine and forget ``NO_PROXY``. All clients here (requests, httpx, urllib, aiohttp,
websockets; in Prefect and MLflow too) read the same variables, so these are where it is decided.
"""

from collections.abc import Mapping, MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def exempt_loopback(environment: MutableMapping[str, str]) -> None:
    """Adds this machine to what an environment exempts from its proxies; what the user exempts stays exempt.

    Without a proxy's variable nothing is changed: on macOS and Windows an exemption alone would hide the system's proxies.

    Args:
        environment: Of this process, or of one that it starts.
    """
    if not proxies_of(environment):
        return
    given = next((environment[name] for name in _NAMES if environment.get(name)), "")  # some read one, some the other
    for name in _NAMES:
        exempt = [host.strip() for host in (environment.get(name) or given).split(",") if host.strip()]
        if "*" not in exempt:
            environment[name] = ",".join([*exempt, *(host for host in LOOPBACK if host not in exempt)])
        else:
            environment[name] = "*"


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that name a proxy, and the address that each has."""
    names = [name for name in environment if name.lower().endswith("_proxy") and name not in _NAMES]
    return {name: environment[name] for name in names if environment[name]}
