"""Stand-ins for what identifies a patient or a study, derived from a key: the same input always has the same stand-in."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass

_NUMBERS = 10**12
_DAYS = (365, 3650)


@dataclass(frozen=True)
class Pseudonyms:
    """Stand-ins by HMAC with SHA-256; without the key nobody can tell what they stand for.

    Attributes:
        key: Secret bytes.
    """

    key: bytes

    @property
    def fingerprint(self) -> str:
        """By what a key is recognised, 16 hexadecimal digits; tells nothing of it."""
        return self._digest("fingerprint").hex()[:16]

    def uid(self, original: str) -> str:
        """The stand-in of a UID: one under the root 2.25, which stands for UUIDs, of at most 44 characters."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', original)[:16], version=4).int}"

    def patient(self, *identity: str) -> str:
        """The stand-in of a patient, 17 characters.

        Args:
            identity: What tells the patient from all others.
        """
        return f"P{self._digest('patient', *identity).hex()[:16].upper()}"

    def days(self, patient: str) -> int:
        """By how many days the dates of a patient are moved into the past, one to ten years.

        Args:
            patient: The stand-in.
        """
        first, last = _DAYS
        return first + int.from_bytes(self._digest("days", patient)[:8], "big") % (last - first + 1)

    def number(self, *parts: str) -> int:
        """A number of twelve digits that stands for something."""
        return _NUMBERS // 10 + int.from_bytes(self._digest("number", *parts)[:16], "big") % (_NUMBERS - _NUMBERS // 10)

    def digest(self, *parts: str) -> str:
        """A hash of something that only those who have the key can compute, 64 hexadecimal digits."""
        return self._digest("digest", *parts).hex()

    def _digest(self, *parts: str) -> bytes:
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self.key, message, hashlib.sha256).digest()
