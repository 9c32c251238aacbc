"""Signed folders: a signature file that names the hash of every file in a folder (OpenSSF model signing)."""

from collections.abc import Sequence
from pathlib import Path

from model_signing import hashing, signing, verifying

from lumbargrade.audit.keys import PublicKey, SigningKey


def sign_folder(folder: Path, signature: Path, key: SigningKey, but: Sequence[str] = ()) -> None:
    """Signs all files of a folder.

    Args:
        signature: The file to write, outside of the folder.
        but: Files of the folder that do not count.
    """
    signature.parent.mkdir(parents=True, exist_ok=True)
    config = signing.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=key.path).set_hashing_config(_hashing(folder, but)).sign(
        folder, signature
    )


def signature_problem(folder: Path, signature: Path, key: PublicKey, but: Sequence[str] = ()) -> str | None:
    """Says what is wrong with a signed folder: an altered, an added or a missing file; None if nothing is.

    Args:
        but: Files of the folder that do not count.

    Raises:
        OSError: A file could not be read; that says nothing of what is in it.
        MemoryError: The machine is short of memory.
    """
    if not signature.is_file():
        return f"signature {signature} is missing"
    config = verifying.Config()  # type: ignore[no-untyped-call]
    try:
        config.use_elliptic_key_verifier(public_key=key.path).set_hashing_config(_hashing(folder, but)).verify(
            folder, signature
        )
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the library raises ValueError, and those of what it is built on
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{folder} does not agree with its signature: {reason}"
    return None


def _hashing(folder: Path, but: Sequence[str]) -> hashing.Config:
    config = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[folder / name for name in but], ignore_git_paths=False)
