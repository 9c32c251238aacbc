import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import DenseNet121_Weights, densenet121

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.grader import Grader, GraderConfig, save_grader
from lumbargrade.models.weights import check_weights, load_weights

WAYS_OUT = (
    "set training.weights to the path of a torchvision densenet121 file (.pth or .safetensors), to imagenet on a machine "
    "that can download it, to what `lumbargrade pretrain` writes, or to none"
)


@pytest.fixture
def grader(rsna: GradingTask) -> Grader:
    return Grader(GraderConfig(task=rsna, prepare=PrepareParams(), crop_mm=40, image_pixels=32))


@pytest.fixture(scope="module")
def pretrained() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return densenet121(weights=None).state_dict()


def test_torchvisions_file_fills_the_backbone(grader: Grader, pretrained: dict[str, Tensor], tmp_path: Path) -> None:
    published = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name): value for name, value in pretrained.items()
    }
    assert any(".norm.1." in name for name in published)
    torch.save(published, tmp_path / "densenet121.pth")
    load_weights(grader, str(tmp_path / "densenet121.pth"))
    for name, value in grader.features.state_dict().items():
        assert torch.equal(value, pretrained[f"features.{name}"])


def test_safetensors_do_as_well(grader: Grader, pretrained: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(pretrained, tmp_path / "densenet121.safetensors")
    load_weights(grader, str(tmp_path / "densenet121.safetensors"))
    assert torch.equal(grader.features.state_dict()["conv0.weight"], pretrained["features.conv0.weight"])


def test_a_grader_of_the_same_task_lends_its_heads_too(rsna: GradingTask, disc: GradingTask, tmp_path: Path) -> None:
    torch.manual_seed(7)
    config = GraderConfig(task=disc, prepare=PrepareParams(), crop_mm=40, image_pixels=32)
    taught = Grader(config)
    save_grader(taught, tmp_path / "taught.safetensors")
    fresh, context, other = (
        Grader(config.model_copy(update=change)) for change in ({}, {"context": "transformer"}, {"task": rsna})
    )
    heads = other.heads.weight.clone()
    for grader in (fresh, context, other):
        load_weights(grader, str(tmp_path / "taught.safetensors"))
        assert torch.equal(grader.features.conv0.weight, taught.features.conv0.weight)
    for grader in (fresh, context):
        assert torch.equal(grader.heads.weight, taught.heads.weight)
    assert torch.equal(other.heads.weight, heads), "another task's heads mean other grades"


def test_imagenet_offline_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(DenseNet121_Weights, "get_state_dict", offline)
    with pytest.raises(InputError) as caught:
        check_weights("imagenet")
    assert str(caught.value) == f"training.weights imagenet cannot be downloaded on this machine; {WAYS_OUT}"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        check_weights("resnet")
    assert str(caught.value) == f"training.weights resnet is neither imagenet, none nor a file; {WAYS_OUT}"


class _Evil:
    def __reduce__(self):
        return print, ("this ran",)


def test_code_in_a_weights_file_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"features.conv0.weight": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="is not a weights file"):
        check_weights(str(tmp_path / "evil.pth"))
    assert "this ran" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(grader: Grader, pretrained: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(InputError, match="holds no DenseNet features"):
        check_weights(str(tmp_path / "resnet.pth"))
    torch.save({name: value for name, value in pretrained.items() if "norm5" not in name}, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"does not fit DenseNet-121 \(layer norm5"):
        load_weights(grader, str(tmp_path / "part.pth"))
