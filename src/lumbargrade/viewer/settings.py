"""Settings of the reading room, frozen, and the rule of who may reach it."""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.limits import LIMITS
from lumbargrade.errors import InputError
from lumbargrade.frozen import Frozen

RESEARCH_STRIP = "Not for clinical use"
_SHORTEST_TOKEN = 16


class Access(Frozen):
    """Who may use the reading room.

    Attributes:
        host: Address that is bound.
        token: Secret that a client sends; None if none is asked for.
        proxy_user_header: Header in which a reverse proxy names the user it has let in.
        proxy_address: The proxy's own address; from anywhere else the header is not believed.
    """

    host: str = "127.0.0.1"
    token: str | None = Field(default=None, repr=False)
    proxy_user_header: str | None = None
    proxy_address: str | None = None

    @property
    def open(self) -> bool:
        """Whether whoever reaches it may use it; so it is only on this machine."""
        return self.token is None and self.proxy_user_header is None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if (self.proxy_user_header is None) != (self.proxy_address is None):
            raise InputError(
                "--proxy-user-header and --proxy-address belong together",
                "give both or neither",
                "proxy-options-incomplete",
            )
        if self.open and not is_loopback(self.host):
            raise InputError(
                f"{self.host} can be reached from other machines",
                "give --token-file, or --proxy-user-header with --proxy-address, or bind to 127.0.0.1",
                "page-unprotected",
            )
        return self


class WebSettings(Frozen):
    """What the reading room does.

    Attributes:
        task: What the model grades.
        model_url: Address of the model's scoring server.
        data: Folder of what outlives the spool: corrections, and the salt of the study hashes.
        spool: Folder of the uploads; what lies there is removed when the reading room starts.
        keep_seconds: How long an uploaded study is kept.
        max_bytes: Of one upload.
        max_files: Of one upload.
        max_studies: Kept at a time; more uploads are refused until one expires or is deleted.
        workers: Studies at work at a time; the others wait.
        decode_seconds: For decoding one study.
        decode_bytes: Memory of the process that decodes.
        show_identifiers: Whether patient name, id and dates are kept and shown as long as the study is.
        research_strip: Words on every page and report; None once the organisation has removed them.
        requests_a_minute: Of one client.
        uploads_a_minute: Of one client.
    """

    task: GradingTask
    model_url: str
    data: Path = Field(default_factory=lambda: current_project().served)
    spool: Path
    keep_seconds: float = Field(default=3600, gt=0)
    max_bytes: int = Field(default=1 << 30, gt=0)
    max_files: int = Field(default=LIMITS.files, gt=0)
    max_studies: int = Field(default=64, gt=0)
    workers: int = Field(default=2, gt=0)
    decode_seconds: float = Field(default=120, gt=0)
    decode_bytes: int = Field(default=4 << 30, gt=0)
    show_identifiers: bool = False
    research_strip: str | None = RESEARCH_STRIP
    requests_a_minute: int = Field(default=6000, gt=0)
    uploads_a_minute: int = Field(default=60, gt=0)
    access: Access = Field(default_factory=Access)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: Path) -> str:
    """Reads the secret from its file.

    Raises:
        InputError: There is none, it is short, or others on this machine can read it.
    """
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"token file {path} cannot be read", "put a secret of one line into it", "token-file-unreadable"
        ) from error
    if mode & 0o077:
        raise InputError(
            f"token file {path} can be read by others", f"run: chmod 600 {path}", "token-file-readable-by-others"
        )
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise InputError(
            f"token file {path} must hold at least {_SHORTEST_TOKEN} plain characters",
            "make it with: openssl rand -hex 32",
            "token-too-weak",
        )
    return token
