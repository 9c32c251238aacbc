"""What all cells of a study say to each other: a transformer over them.

Neighbouring levels and both sides are alike in one patient, and an unclear crop is graded better beside its neighbours.
"""

import torch
from torch import Tensor, nn

_WIDTH = 128
_HEADS = 4
_LAYERS = 2
_DROP = 0.1


class StudyContext(nn.Module):
    """Adds to each cell's features what the other cells of its study tell; nothing before it has learned.

    Args:
        features: Features of a cell.
        cells: Cells of the task.
    """

    def __init__(self, features: int, cells: int) -> None:
        super().__init__()
        self.inside = nn.Linear(features, _WIDTH)
        self.cell = nn.Embedding(cells, _WIDTH)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, 2 * _WIDTH, _DROP, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, _LAYERS, nn.LayerNorm(_WIDTH), enable_nested_tensor=False)
        self.outside = nn.Linear(_WIDTH, features)
        nn.init.zeros_(self.outside.weight)
        nn.init.zeros_(self.outside.bias)

    def forward(self, described: Tensor, cells: Tensor, studies: Tensor) -> Tensor:
        """Returns features of the same shape.

        Args:
            described: (batch, features).
            cells: Place of each row's cell in the task, (batch,).
            studies: A number for each row's study, (batch,).
        """
        _, study = torch.unique(studies, return_inverse=True)
        counts = torch.bincount(study)
        order = torch.argsort(study, stable=True)
        place = torch.empty_like(study)
        place[order] = torch.arange(len(study), device=study.device) - (counts.cumsum(0) - counts)[study[order]]
        tokens = self.inside(described) + self.cell(cells)
        padded = tokens.new_zeros(len(counts), int(counts.max()), _WIDTH)
        padded[study, place] = tokens
        empty = torch.arange(padded.shape[1], device=study.device) >= counts[:, None]
        seen = self.encoder(padded, src_key_padding_mask=empty)[study, place]
        added: Tensor = self.outside(seen)
        return described + added
