import torch

from lumbargrade.models.context import StudyContext


def context() -> StudyContext:
    torch.manual_seed(0)
    made = StudyContext(16, 5).eval()
    torch.nn.init.normal_(made.outside.weight)
    return made


def test_an_untrained_one_adds_nothing() -> None:
    made = StudyContext(16, 5)
    described = torch.randn(7, 16)
    assert torch.equal(made(described, torch.zeros(7, dtype=torch.long), torch.zeros(7)), described)


def test_a_study_does_not_see_another() -> None:
    made, described = context(), torch.randn(7, 16)
    cells, studies = torch.tensor([0, 1, 2, 0, 1, 2, 3]), torch.tensor([7, 7, 7, 3, 3, 3, 3])
    both = made(described, cells, studies)
    torch.testing.assert_close(both[:3], made(described[:3], cells[:3], studies[:3]))
    torch.testing.assert_close(both[3:], made(described[3:], cells[3:], studies[3:]))
    torch.testing.assert_close(made(described[:3], cells[:3], studies[:3])[0], both[0])
    changed = described.clone()
    changed[6] += 1
    again = made(changed, cells, studies)
    torch.testing.assert_close(again[:3], both[:3])
    assert not torch.allclose(again[3], both[3])


def test_the_order_of_rows_does_not_matter() -> None:
    made, described = context(), torch.randn(6, 16)
    cells, studies = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0, 1, 0, 1, 0, 1])
    order = torch.tensor([5, 0, 3, 2, 4, 1])
    torch.testing.assert_close(
        made(described[order], cells[order], studies[order]), made(described, cells, studies)[order]
    )
