"""The pool with real training processes, two at a time on the CPU."""

from concurrent.futures import Future
from pathlib import Path
from threading import Event

import psutil
import pytest

from lumbargrade.errors import InputError, LumbargradeError, StoppedError
from lumbargrade.training.jobs.devices import Device
from lumbargrade.training.jobs.executor import FoldFuture, FoldPool
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import AnySpec, Epoch, FoldResult, FoldSpec
from tests.local_pool import local_pool

pytestmark = pytest.mark.slow

SHARED = (Device("cpu", "", 1), Device("cpu/2", "", 1))


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def two_folds(spec: FoldSpec, **more: object) -> list[FoldSpec]:
    values = spec.model_dump()
    values["training"] |= more
    return [
        FoldSpec.model_validate(values | {"fold": fold, "folder": spec.folder.parent / f"fold-{fold}"})
        for fold in (0, 1)
    ]


def test_folds_are_trained_side_by_side_and_come_back_in_their_order(spec: FoldSpec) -> None:
    specs, told = two_folds(spec), []
    with local_pool(SHARED) as pool:
        results = pool.train(specs, lambda spec, epoch: told.append((spec.fold, epoch.epoch)))
    assert [result.fold for result in results] == [0, 1]
    assert sorted(told) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {result.device for result in results} == {"cpu", "cpu/2"}
    first, second = results
    assert max(first.began, second.began) < min(first.ended, second.ended)


def test_a_fold_that_is_stopped_has_no_result_and_its_process_ends(spec: FoldSpec) -> None:
    endless, _ = two_folds(spec, epochs=1000)
    with local_pool(SHARED) as pool:
        pool.start(endless, lambda spec, epoch: pool.stop(spec))
        assert pool.next() == (endless, None)
        assert pool.running == 0
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(endless.folder) in (each.info["cmdline"] or [])
    ]


def test_a_fold_can_be_stopped_by_the_first_epoch_that_it_tells(spec: FoldSpec) -> None:
    def submit(spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
        epoch = Epoch(epoch=1, train_loss=1, validation_loss=1, validation_accuracy=1, learning_rate=1, seconds=1)
        on_epoch(spec, epoch)
        future: Future[FoldResult] = Future()
        future.set_exception(
            StoppedError("stopped", "", "stopped") if stop.is_set() else AssertionError("nobody stopped it")
        )
        return future

    with FoldPool(submit, 1) as pool:
        pool.start(spec, lambda spec, epoch: pool.stop(spec))
        assert pool.next() == (spec, None)


def test_one_that_fails_stops_the_others(spec: FoldSpec) -> None:
    endless, wrong = two_folds(spec, epochs=1000)
    wrong = wrong.model_copy(update={"crops": spec.folder / "none"})
    with pytest.raises(InputError, match="holds no packed crops"), local_pool(SHARED) as pool:
        pool.train([endless, wrong], lambda spec, epoch: None)
    assert not (endless.folder / "result.json").exists()
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(endless.folder) in (each.info["cmdline"] or [])
    ]


def test_leaving_the_pool_stops_what_still_waits_for_a_device(spec: FoldSpec) -> None:
    first, second = two_folds(spec, epochs=1000)
    with pytest.raises(LumbargradeError, match="enough"), local_pool(SHARED[:1]) as pool:
        pool.start(first, lambda spec, epoch: None)
        pool.start(second, lambda spec, epoch: None)
        raise LumbargradeError("enough", "", "enough")
    assert pool.running == 0
