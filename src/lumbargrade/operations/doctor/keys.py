"""The keys that sign and that make pseudonyms: there, a pair, and for nobody else to read."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from lumbargrade.audit.keys import PRIVATE, SIGNING_KEY, open_public_key, public_sha256, read_private
from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.deidentify.key import PSEUDONYM_KEY
from lumbargrade.errors import InputError
from lumbargrade.operations.doctor.findings import Finding

_SOON = timedelta(days=30)


def check_keys() -> Iterator[Finding]:
    """The signing key against the public half that the log was begun with."""
    folder, log = current_project().audit_keys, current_project().audit_log
    named = Settings().signing_key
    path = named or folder / PRIVATE
    pseudonyms = folder / PSEUDONYM_KEY
    if pseudonyms.exists():
        yield from _readable_by_others(pseudonyms)
    if not path.exists():
        yield _missing(path, named is not None, log.exists())
        return
    yield from _readable_by_others(path)
    yield from _expiry(path)
    try:
        private, public = read_private(path), open_public_key(folder) if log.exists() else None
    except InputError as error:
        yield Finding.problem(error.code, error.what, error.remedy or "put back the one that was there")
        return
    if public is not None and public.sha256 != public_sha256(private.public_key()):
        yield Finding.problem(
            "signing-key-is-another",
            f"{path} is not the key whose public half is {public.path}",
            f"put back the one that was there, or name it in {SIGNING_KEY}",
        )
    else:
        yield Finding.ok("signing-key", f"the signing key is {path}")


def _missing(path: Path, named: bool, log: bool) -> Finding:
    if not log and not named:
        return Finding.ok("signing-key", "nothing was signed here yet; the key is made then")
    where = f" (named by {SIGNING_KEY})" if named else " beside the audit log"
    return Finding.problem(
        "signing-key-missing",
        f"the signing key {path}{where} is not there",
        "put it back from a copy; without it nothing is signed",
    )


def _readable_by_others(path: Path) -> Iterator[Finding]:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding.problem(
            "key-readable-by-others", f"the key {path} can be read by others", f"`chmod 600 '{path}'`"
        )


def _expiry(path: Path) -> Iterator[Finding]:
    """A key alone never expires; an organisation's file may hold its certificate too, which does."""
    content = path.read_bytes()
    if b"BEGIN CERTIFICATE" not in content:
        return
    ends = min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(content))
    when = f"the certificate in {path} {'has expired' if ends < datetime.now(UTC) else 'expires'} on {ends:%Y-%m-%d}"
    if ends < datetime.now(UTC):
        yield Finding.problem("certificate-expired", when, "ask who issued it for a new one")
    elif ends < datetime.now(UTC) + _SOON:
        yield Finding.note("certificate-expires", when, "ask who issued it for a new one")
