import hashlib
import json
import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lumbargrade.config.params import TrainingParams
from lumbargrade.config.task import load_task
from lumbargrade.errors import DivergedError, InputError, LumbargradeError
from lumbargrade.models.grader import load_grader
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.training import worker as fold
from lumbargrade.training.grader import fit
from lumbargrade.training.grader.fit import train_fold, weighted_cross_entropy
from lumbargrade.training.grader.sampling import fold_rows
from lumbargrade.training.jobs.process import error_of
from lumbargrade.training.jobs.spec import ERROR, SPEC, Epoch, FoldSpec, read_history, read_result
from lumbargrade.training.loop.precision import choose_precision
from lumbargrade.training.loop.schedule import layered_groups, steps_per_epoch, warmup_cosine
from tests.crops import make_fold, pack_crops

pytestmark = pytest.mark.slow


def changed(spec: FoldSpec, folder: str | None = None, **training: Any) -> FoldSpec:
    values = spec.model_dump()
    values["training"] |= training
    if folder is not None:
        values["folder"] = spec.folder.parent / folder
        values["folder"].mkdir()
    return FoldSpec.model_validate(values)


def weights_hash(spec: FoldSpec) -> str:
    return hashlib.sha256((spec.folder / "model.safetensors").read_bytes()).hexdigest()


def test_it_learns_and_leaves_everything_behind(spec: FoldSpec) -> None:
    spec = changed(spec, epochs=4, epoch_crops=160)
    told = []
    result = train_fold(spec, told.append)
    predictions = result.predictions()
    right = predictions[["normal_mild", "moderate", "severe"]].to_numpy().argmax(axis=1)
    levels = predictions["level"].map({level: place for place, level in enumerate(spec.task.levels)})
    truth = (predictions["study_id"] + levels) % 3
    assert (right == truth).mean() > 0.8
    assert set(predictions["study_id"]) == {study for study in range(24) if study % 2 == 0 and study % 6 != 5}
    assert read_result(spec.folder) == result
    assert read_history(spec.folder) == told
    assert [epoch.epoch for epoch in told] == [1, 2, 3, 4]
    assert told[-1].learning_rate < told[0].learning_rate


def test_the_same_seed_gives_the_same_weights_bit_for_bit(spec: FoldSpec) -> None:
    train_fold(spec)
    again = changed(spec, "again")
    train_fold(again)
    other = FoldSpec.model_validate({**changed(spec, "other").model_dump(), "seed": 1})
    train_fold(other)
    assert weights_hash(spec) == weights_hash(again) != weights_hash(other)


@pytest.fixture(scope="module")
def plain_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a fold as it trains without any part of a recipe; its crops are those of each test."""
    task = load_task("disc_degeneration")
    plain = make_fold(pack_crops(tmp_path_factory.mktemp("plain"), task), task)
    train_fold(plain)
    return weights_hash(plain)


@pytest.mark.parametrize(
    "part",
    [
        {"style": 0.6},
        {"flips": True},
        {"erase": 2},
        {"mixup": 0.4},
        {"label_smoothing": 0.1},
        {"ema": 0.9},
        {"freeze_epochs": 1},
        {"layer_decay": 0.5},
        {"context": "transformer"},
    ],
    ids=lambda part: next(iter(part)),
)
def test_each_part_of_the_recipe_trains_and_is_repeatable(
    spec: FoldSpec, plain_weights: str, part: dict[str, Any]
) -> None:
    twice = [changed(spec, name, **part) for name in ("one", "two")]
    results = [train_fold(each) for each in twice]
    assert weights_hash(twice[0]) == weights_hash(twice[1]) != plain_weights
    assert np.isfinite(results[0].validation_loss)
    predictions = results[0].predictions()[["normal_mild", "moderate", "severe"]].to_numpy()
    np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("part", [{}, {"mixup": 0.4, "label_smoothing": 0.1}], ids=["plain", "mixed"])
def test_doubted_labels_of_training_studies_change_the_weights_and_no_others_do(
    spec: FoldSpec, part: dict[str, Any]
) -> None:
    tables = {"training": (1, 3, 7), "validation": (0, 2, 4)}
    for name, studies in tables.items():
        rows = [(study, "disc_degeneration", level) for study in studies for level in spec.task.levels]
        table = pd.DataFrame(rows, columns=["study_id", "condition", "level"])
        table.to_csv(spec.folder.parent / f"{name}.csv", index=False)
        tables[name] = str(spec.folder.parent / f"{name}.csv")
    trained = {
        name: (train_fold(told).validation_loss, weights_hash(told))
        for name, told in {
            "none": changed(spec, "none", **part),
            "validation": changed(spec, "validation", suspects=tables["validation"], suspect_weight=0.0, **part),
            "in full": changed(spec, "in-full", suspects=tables["training"], suspect_weight=1.0, **part),
            "less": changed(spec, "less", suspects=tables["training"], **part),
        }.items()
    }
    assert trained["none"] == trained["validation"] == trained["in full"]
    assert trained["less"][1] != trained["none"][1]


def test_a_mixed_crop_counts_by_the_label_that_it_is_held_against(
    spec: FoldSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = spec.folder.parent / "suspects.csv"
    table.write_text("study_id,condition,level\n1,disc_degeneration,L1/L2\n1,disc_degeneration,L2/L3\n")
    run = fit.GraderRun.begin(changed(spec, mixup=0.4, suspects=str(table), suspect_weight=0.25))
    rows, partners, logits = run.training[:6], torch.arange(6).roll(1), torch.randn(6, 3)
    monkeypatch.setattr(fit, "mix_partners", lambda kinds, generator: partners)
    monkeypatch.setattr(fit.GraderRun, "_logits", lambda *_: logits)
    monkeypatch.setattr(fit.GraderRun, "_seed", lambda self: 0)
    share = np.random.default_rng(0).beta(0.4, 0.4)
    counts = torch.tensor([0.25, 0.25, 1, 1, 1, 1]) * torch.tensor(spec.task.grade_weights)[run.grades[rows]]
    own, other = (F.cross_entropy(logits, run.grades[rows][of], reduction="none") for of in (range(6), partners))
    loss, weight = run._training_loss(rows)
    assert float(loss) == pytest.approx(float((share * counts * own + (1 - share) * counts[partners] * other).sum()))
    assert float(weight) == pytest.approx(float(counts.sum()))


def test_a_frozen_backbone_stays_as_it_was_loaded(spec: FoldSpec) -> None:
    frozen = changed(spec, epochs=1, freeze_epochs=1)
    train_fold(frozen)
    begun = fit.GraderRun.begin(frozen).grader
    trained = load_grader(frozen.folder / "model.safetensors")
    for name, before in begun.features.state_dict().items():
        assert torch.equal(before, trained.features.state_dict()[name]), name
    assert not torch.equal(begun.heads.weight, trained.heads.weight)


def test_rates_fall_from_the_heads_to_the_first_layers(spec: FoldSpec) -> None:
    grader = fit.GraderRun.begin(spec).grader
    groups = layered_groups(grader, changed(spec, layer_decay=0.5).training)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(grader.parameters()))
    named = {name: rates[id(p)] / spec.training.learning_rate for name, p in grader.named_parameters()}
    assert named["heads.weight"] == 1
    assert named["features.norm5.weight"] == named["features.denseblock4.denselayer1.conv1.weight"] == 0.5
    assert named["features.transition3.conv.weight"] == named["features.denseblock3.denselayer1.conv1.weight"] == 0.25
    assert named["features.conv0.weight"] == 0.5**5


def test_early_stopping_keeps_the_best_epochs_weights(spec: FoldSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 0.5, 0.7, 0.9, 0.1])
    validate = fit.GraderRun._validate
    monkeypatch.setattr(fit.GraderRun, "_validate", lambda self: (next(losses), validate(self)[1]))
    result = train_fold(changed(spec, epochs=5, patience=2))
    assert (result.epoch, result.epochs) == (2, 4)
    shorter = changed(spec, "shorter", epochs=5, patience=2)
    losses = iter([1.0, 0.5])
    with pytest.raises(StopIteration):
        train_fold(shorter)
    assert weights_hash(shorter) == weights_hash(spec)


def test_a_loss_that_is_no_number_is_told_with_the_way_out(spec: FoldSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit.GraderRun, "_train", lambda self: float("nan"))
    with pytest.raises(LumbargradeError) as caught:
        train_fold(spec)
    assert str(caught.value) == (
        "fold 0: the loss is no longer a number in epoch 1; lower training.learning_rate (now 0.003) or set "
        "training.precision to fp32"
    )
    assert read_result(spec.folder) is None


def test_the_holdout_never_trains_and_never_validates(packed: Path) -> None:
    index = PackedCrops(packed / "crops").index
    split = pd.read_csv(packed / "split.csv")
    training, validation = fold_rows(index, split, 1)
    held = set(split.loc[split["fold"] == -1, "study_id"])
    studies = [set(index["study_id"].iloc[rows]) for rows in (training, validation["labelled"])]
    assert not studies[0] & studies[1]
    assert not held & (studies[0] | studies[1])
    assert held | studies[0] | studies[1] == set(range(24))
    with pytest.raises(InputError, match="fold 7 has 100 crops to train on and 0 to validate with"):
        fold_rows(index, split, 7)


def test_the_configuration_travels_with_the_weights(spec: FoldSpec) -> None:
    train_fold(spec)
    config = load_grader(spec.folder / "model.safetensors").config
    assert (config.task, config.prepare) == (spec.task, spec.prepare)
    assert (config.crop_mm, config.image_pixels) == (36.0, 32)


@given(st.integers(1, 200), st.integers(0, 10**6))
def test_the_loss_is_torchs_weighted_mean(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 3, generator=generator)
    grades = torch.randint(0, 3, (count,), generator=generator)
    weights = torch.tensor([1.0, 2.0, 4.0])
    loss, weight = weighted_cross_entropy(logits, grades, weights)
    assert float(loss / weight) == pytest.approx(float(F.cross_entropy(logits, grades, weight=weights)), rel=1e-4)


@given(st.integers(2, 200), st.integers(0, 10**6), st.sampled_from([0.0, 0.1]))
def test_a_trust_of_1_is_todays_loss_bit_for_bit_and_0_leaves_the_crop_out(
    count: int, seed: int, smoothing: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (5 * torch.randn(count, 3, generator=generator)).requires_grad_()
    grades = torch.randint(0, 3, (count,), generator=generator)
    weights = torch.tensor([1.0, 2.0, 4.0])

    def told(trust: torch.Tensor | None, rows: Any = slice(None)) -> tuple[torch.Tensor, torch.Tensor]:
        loss, weight = weighted_cross_entropy(logits[rows], grades[rows], weights, smoothing, trust)
        return loss / weight, torch.autograd.grad(loss / weight, logits)[0]

    for plain, full in zip(told(None), told(torch.ones(count)), strict=True):
        assert torch.equal(plain, full)
    trust = (torch.rand(count, generator=generator) < 0.5).float()
    trust[0] = 1
    for without, left in zip(told(None, trust == 1), told(trust), strict=True):
        torch.testing.assert_close(left, without, rtol=1e-4, atol=1e-5)
    loss, gradient = told(torch.where(trust == 1, 1.0, 0.3))
    each = F.cross_entropy(logits, grades, weight=weights, reduction="none", label_smoothing=smoothing)
    shares = torch.where(trust == 1, 1.0, 0.3)
    expected = (shares * each).sum() / (shares * weights[grades]).sum()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-5)


@given(st.integers(1, 30), st.floats(0, 5), st.integers(1, 50))
def test_the_rate_rises_then_falls_to_zero(epochs: int, warmup: float, steps: int) -> None:
    factor = warmup_cosine(TrainingParams(epochs=epochs, warmup_epochs=warmup), steps)
    values = np.array([factor(step) for step in range(epochs * steps + 1)])
    assert (values >= 0).all()
    assert (values <= 1).all()
    top = int(values.argmax())
    assert (np.diff(values[: top + 1]) >= 0).all()
    assert (np.diff(values[top:]) <= 1e-12).all()
    if warmup < epochs - 1:
        assert values[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("crops", "least", "steps"), [(1000, 0, 62), (100, 640, 40), (1000, 640, 62), (5, 0, 1)])
def test_small_datasets_are_passed_over_several_times(crops: int, least: int, steps: int) -> None:
    assert steps_per_epoch(crops, TrainingParams(batch_size=16, epoch_crops=least)) == steps


def test_precision_is_what_was_asked_or_what_the_device_has() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu).name == "fp32"
    with choose_precision("bf16", cpu).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("capabilities", "name"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"amx_bf16": True}, "bf16"),
        ({"bf16": True}, "bf16"),
        ({}, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], name: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", torch.device("cpu")).name == name


class KilledError(Exception):
    """Stands in for a kill at the end of an epoch."""


def killed_after(number: int) -> Any:
    def each_epoch(epoch: Epoch) -> None:
        if epoch.epoch == number:
            raise KilledError

    return each_epoch


def told_history(spec: FoldSpec) -> list[dict[str, Any]]:
    return [epoch.model_dump(exclude={"seconds"}) for epoch in read_history(spec.folder)]


@pytest.mark.parametrize(
    "part",
    [{"ema": 0.9, "mixup": 0.4, "freeze_epochs": 1}, {"context": "transformer", "patience": 1}],
    ids=["average", "context"],
)
def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(spec: FoldSpec, part: dict[str, Any]) -> None:
    whole, cut = (changed(spec, name, epochs=3, **part) for name in ("whole", "cut"))
    result = train_fold(whole)
    for number in (1, 2):
        told: list[Epoch] = []
        with pytest.raises(KilledError):
            train_fold(cut, lambda epoch, number=number, told=told: (told.append(epoch), killed_after(number)(epoch)))
        assert [epoch.epoch for epoch in told] == [number]
        random.seed()
        np.random.seed()
    again = train_fold(cut)
    assert weights_hash(cut) == weights_hash(whole)
    assert told_history(cut) == told_history(whole)
    assert (again.epoch, again.epochs, again.validation_loss) == (result.epoch, result.epochs, result.validation_loss)
    pd.testing.assert_frame_equal(again.predictions(), result.predictions())
    assert not list(cut.folder.glob("*checkpoint*"))


def test_early_stopping_remembers_the_best_epoch_from_before_the_kill(
    spec: FoldSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = fit.GraderRun._validate
    losses = {1: 1.0, 2: 0.5, 3: 0.7, 4: 0.9}
    spec = changed(spec, epochs=5, patience=2)
    monkeypatch.setattr(fit.GraderRun, "epoch", lambda self, number: (self._train(), losses[number], validate(self)[1]))
    with pytest.raises(KilledError):
        train_fold(spec, killed_after(2))
    best = weights_hash(spec)
    (spec.folder / "model.safetensors").unlink()  # as if it had been killed before the network was written
    with pytest.raises(KilledError):
        train_fold(spec, killed_after(3))
    result = train_fold(spec)
    assert (result.epoch, result.epochs) == (2, 4)
    assert weights_hash(spec) == best


def test_a_checkpoint_of_another_spec_or_code_or_a_broken_one_is_as_none(
    spec: FoldSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epochs(told: FoldSpec) -> list[int]:
        seen: list[int] = []
        with pytest.raises(KilledError):
            train_fold(told, lambda epoch: (seen.append(epoch.epoch), killed_after(1)(epoch)))
        return seen

    other = FoldSpec.model_validate({**spec.model_dump(), "seed": 1})
    path = spec.folder / "checkpoint.pt"
    assert epochs(spec) == epochs(other) == [1]
    path.write_bytes(path.read_bytes()[:1000])
    assert epochs(other) == [1]
    monkeypatch.setattr("lumbargrade.training.loop.checkpoint.code_digest", lambda *modules: "other code")
    assert epochs(other) == [1]
    path.with_name(".checkpoint-cut-off.pt").touch()
    assert train_fold(other).epochs == 2
    assert not list(spec.folder.glob("*checkpoint*"))


def test_a_run_that_diverges_leaves_no_checkpoint(spec: FoldSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KilledError):
        train_fold(spec, killed_after(1))
    monkeypatch.setattr(fit.GraderRun, "_train", lambda self: float("inf"))
    with pytest.raises(DivergedError, match="in epoch 2"):
        train_fold(spec)
    assert not (spec.folder / "checkpoint.pt").exists()


def test_a_full_disk_is_told_as_such_and_the_next_run_goes_on(spec: FoldSpec) -> None:
    """Pretended by a limit on the size of files: torch and safetensors have errors of their own for it."""
    (spec.folder / SPEC).write_text(spec.model_dump_json(), encoding="utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        assert fold.main(spec.folder) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = error_of(1, json.loads((spec.folder / ERROR).read_text(encoding="utf-8")))
    full = spec.folder / "checkpoint.pt"
    assert str(told) == f"fold 0: File too large ({full}); mend this and run again: it goes on"
    assert not list(spec.folder.glob(".*")), "nothing half written is left"
    assert fold.main(spec.folder) == 0
    assert read_result(spec.folder) is not None
