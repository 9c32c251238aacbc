"""How DVC is configured, without opening the repository, which takes seconds."""

from pathlib import Path

from dvc.config import Config, ConfigError

from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError


def cache_folder() -> Path:
    """Returns where DVC keeps its objects, as it is configured."""
    return Path(read_configuration()["cache"].get("dir") or current_project().dvc_folder / "cache")


def default_remote() -> str | None:
    """Returns the address of DVC's default remote as it is configured."""
    config = read_configuration()
    address = config["remote"].get(config["core"].get("remote"), {}).get("url")
    return None if address is None else str(address)


def read_configuration() -> Config:
    """DVC's configuration as DVC reads it: the system's, the user's, the project's, and the project's on this machine.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return Config(dvc_dir=str(current_project().dvc_folder))
    except (ConfigError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"DVC's configuration cannot be used: {reason}",
            "see `dvc config --list --show-origin`",
            "dvc-config-invalid",
        ) from error


def check_remote() -> None:
    """Checks that DVC's default remote is there: it may come from the user's own configuration, and be none of this project's.

    Raises:
        InputError: It is not, or the configuration cannot be read.
    """
    config = read_configuration()
    name = config["core"].get("remote")
    if name and name not in config["remote"]:
        raise InputError(
            f"DVC's default remote is {name!r} (core.remote), and there is no such remote",
            f"define it with `dvc remote add {name} ADDRESS`, or unset core.remote",
            "dvc-remote-missing",
        )
