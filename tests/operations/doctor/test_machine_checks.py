"""Each check of the machine, with what it is for made wrong."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.operations.doctor import decoders, disks, file_systems, gpus, programs, resources
from lumbargrade.operations.doctor.decoders import check_decoders
from lumbargrade.operations.doctor.disks import check_disks, check_temporary_folder
from lumbargrade.operations.doctor.file_systems import check_links, check_locks
from lumbargrade.operations.doctor.gpus import check_gpus
from lumbargrade.operations.doctor.network import check_ports, check_proxies
from lumbargrade.operations.doctor.programs import check_git, check_page, check_project
from lumbargrade.operations.doctor.resources import check_cores, check_memory

GIB = 1 << 30
Usage = namedtuple("Usage", "total used free")


def told(check) -> list[tuple[str, str]]:
    return [(finding.state, finding.code) for finding in check()]


@pytest.mark.parametrize(("free", "state", "code"), [(0.5, "problem", "-full"), (5, "note", "-low"), (50, "ok", "")])
def test_room_on_disks(free: float, state: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1, 1, int(free * GIB)))
    assert told(check_disks) == [(state, f"disk{code}")]
    assert told(check_temporary_folder)[0] == (state, f"disk-temporary{code}")


def test_folders_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(disks.tempfile, "TemporaryFile", refuse)
    assert told(check_disks)[-1] == ("problem", "project-not-writable")
    assert told(check_temporary_folder) == [("problem", "temporary-folder-unusable")]


def test_a_temporary_folder_that_is_missing_or_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("deep-" * 20)
    monkeypatch.setenv("TMPDIR", str(deep))
    assert told(check_temporary_folder) == [("problem", "temporary-folder-missing")]
    deep.mkdir()
    assert told(check_temporary_folder)[-1] == ("note", "temporary-folder-deep")


@pytest.mark.parametrize(
    ("allowed", "free", "state", "code"),
    [(64, 1, "problem", "memory-short"), (64, 4, "note", "memory-small"), (9, 9, "ok", "memory")],
)
def test_memory(allowed: int, free: int, state: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "memory_bytes", lambda: allowed * GIB)
    monkeypatch.setattr(resources, "free_memory_bytes", lambda: free * GIB)
    monkeypatch.setattr(resources, "physical_bytes", lambda: 64 * GIB)
    (found,) = check_memory()
    assert (found.state, found.code) == (state, code)
    assert ("control group" in found.what) == (allowed < 64)


def test_a_quota_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "affinity", lambda: 64)
    monkeypatch.setattr(resources, "count_cores", lambda: 4)
    (found,) = check_cores()
    assert (found.code, found.state) == ("processor-quota", "note") and "4 cores" in found.what and "64" in found.what
    monkeypatch.setattr(resources, "affinity", lambda: 4)
    assert told(check_cores) == [("ok", "cores")]


def test_locks_that_hold_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(check_locks) == [("ok", "locks")]
    monkeypatch.setattr(file_systems, "_OTHER", "pass")  # as where a lock is granted twice
    assert told(check_locks) == [("problem", "locks-missing")]

    class Refused(FileLock):
        def _acquire(self) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_systems, "FileLock", Refused)
    assert told(check_locks) == [("problem", "locks-missing")]
    assert not list(current_project().root.glob(".doctor-*"))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_links(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(number, os.strerror(number))

    assert told(check_links) == [("ok", "links")]
    monkeypatch.setattr(os, "link", refuse)
    (found,) = check_links()
    assert (found.state, found.code) == ("note", "links-missing") and "no hard links" in found.what
    monkeypatch.setattr(os, "symlink", refuse)
    assert "no hard and no symbolic links" in next(iter(check_links())).what


def test_ports() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        ports = {"page": (port, "lumbargrade serve --port")}
        (found,) = check_ports(ports)
        assert (found.state, found.code) == ("note", "ports-taken") and f"{port} (page)" in found.what
        assert "lumbargrade serve --port" in found.remedy
        current_project().operations.mkdir(parents=True)
        with FileLock(current_project().server_lock):
            assert told(lambda: check_ports(ports)) == [("ok", "ports")]
    assert told(lambda: check_ports(ports)) == [("ok", "ports")]


def test_proxies() -> None:
    assert told(lambda: check_proxies({"NO_PROXY": "a"})) == [("ok", "proxies")]
    (found,) = check_proxies({"HTTPS_PROXY": "http://me:secret@proxy.example:3128"})
    assert (found.state, found.code) == ("note", "proxies") and "secret" not in found.what + found.remedy
    for wrong in ("http://", "http://proxy:port", "http://proxy:0", "ftp://proxy"):
        assert told(lambda wrong=wrong: check_proxies({"https_proxy": wrong})) == [("note", "proxy-unusable")]
    both = {"https_proxy": "ftp://proxy", "http_proxy": "proxy:3128"}
    assert told(lambda: check_proxies(both)) == [("note", "proxy-unusable"), ("note", "proxies")]


def test_the_doctor_sees_the_environment_that_it_was_started_in() -> None:
    script = (
        "import os; del os.environ['ALL_PROXY']\n"
        "from lumbargrade.operations.doctor.network import check_proxies\n"
        "print([finding.code for finding in check_proxies()])"
    )
    environment = {**os.environ, "ALL_PROXY": "ftp://proxy"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "proxy-unusable" in done.stdout


def test_a_decoder_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decoders.pixel_array

    def without_jpeg_ls(dataset, **options):
        if dataset.file_meta.TransferSyntaxUID == decoders.JPEGLSLossless:
            raise RuntimeError("no decoder")
        return real(dataset, **options)

    monkeypatch.setattr(decoders, "pixel_array", without_jpeg_ls)
    (found,) = check_decoders()
    assert (found.state, found.code) == ("problem", "decoder-missing")
    assert found.what.endswith(f": {decoders.JPEGLSLossless.name}")


@pytest.mark.parametrize(
    ("answer", "cuda", "state", "code"),
    [
        ("535.104.05, NVIDIA H200\n", "12.8", "ok", "gpu"),
        ("535.104.05, NVIDIA H200\n", "13.0", "problem", "gpu-driver-old"),
        ("450.80.02, Tesla T4\n450.80.02, Tesla T4\n", "11.8", "ok", "gpu"),
        ("450.51.06, Tesla T4\n", "11.8", "problem", "gpu-driver-old"),
        ("580.95, NVIDIA H200\n", None, "note", "gpu-unused"),
        ("No devices were found\n", "13.0", "problem", "gpu-driver-broken"),
    ],
)
def test_gpus(
    answer: str, cuda: str | None, state: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(gpus, "_built_for", lambda: cuda)
    assert told(check_gpus) == [(state, code)]
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch' >&2\nexit 18\n")
    assert told(check_gpus) == [("problem", "gpu-driver-broken")]
    program.unlink()
    assert told(check_gpus) == [("ok", "gpu-none")]


def test_what_torch_was_built_for_is_what_it_says_itself() -> None:
    torch = pytest.importorskip("torch")
    assert gpus._built_for() == torch.version.cuda


def test_no_project_and_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(check_project) == [("ok", "project"), ("ok", "packages")]
    (folder / "prefect.yaml").unlink()
    monkeypatch.setattr(programs, "_PARTS", ("dvc", "a-package-that-is-not-there"))
    assert told(check_project) == [("problem", "project-missing"), ("problem", "package-missing")]


def test_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert told(check_git) == [("problem", "git-without-commit")]
    author = ("-c", "user.name=A", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "start")):
        subprocess.run(["git", *command], check=True)
    assert told(check_git) == [("ok", "git")]
    monkeypatch.setenv("PATH", str(folder))
    assert told(check_git) == [("problem", "git-missing")]


def test_a_page_that_is_not_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", folder)
    (found,) = check_page()
    assert (found.state, found.code) == ("note", "page-missing")
    (folder / "viewer/page").mkdir(parents=True)
    (folder / "viewer/page/index.html").touch()
    assert told(check_page) == [("ok", "page")]
