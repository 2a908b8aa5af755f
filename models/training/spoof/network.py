"""The liveness network: dense 3x3 convolutions with ReLU, as the embedded engine runs them best."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


# How far the live logit follows what the teachers would answer. More of it helps on sources that were
# left out and costs on those that were not (MODEL_CARD.md has the figures for 0, 0.5, 1, 2 and 4).
IMITATION_SHARE = 1.0
# Of the mean square of the features, added where the teachers' answers are fitted: features are correlated.
RIDGE = 1e-3
WIDTHS = (16, 32, 64, 128)


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(*_conv(width, width), nn.ReLU(inplace=True), *_conv(width, width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.body(x))


class LivenessNet(nn.Module):
    """RGB in -1..1, n x 3 x side x side, to n x 3 logits: live; print and replay given an attack.

    ``blocks`` counts the residual blocks at a quarter, an eighth and a sixteenth of the side. ``imitated`` says how much
    each teacher's answer counts where the network imitates them; its sum is one.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int] = (1, 1, 1),
        imitated: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
        dropout: float = 0.15,
    ):
        super().__init__()
        layers: list[nn.Module] = [*_conv(3, WIDTHS[0], 2), nn.ReLU(inplace=True)]
        for before, width, count in zip(WIDTHS, WIDTHS[1:], blocks, strict=False):
            layers += [*_conv(before, width, 2), nn.ReLU(inplace=True), *(Residual(width) for _ in range(count))]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * WIDTHS[-1], 3)
        # Used while training only: what each teacher answered, which tells more than the target.
        # It starts at zero, as it is part of the live logit in the end: without teachers nothing moves it from there.
        self.imitation = nn.Linear(2 * WIDTHS[-1], 3)
        nn.init.zeros_(self.imitation.weight)
        nn.init.zeros_(self.imitation.bias)
        self.register_buffer("imitated", torch.tensor(imitated), persistent=False)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(self.features(x))

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """What the answers are linear in, of the last maps."""
        # The maximum keeps a local cue (an edge, a gloss spot, a finger) that the mean would dilute.
        return self.dropout(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(x))

    @torch.no_grad()
    def fold_imitation(self, share: float = IMITATION_SHARE) -> LivenessNet:
        """Adds ``share`` times the weighted mean of the imitated answers to the live logit, as the library is to see it.

        Both are linear in the same features, so this changes the weights of the head and nothing else.
        """
        self.head.weight[0] += share * self.imitated @ self.imitation.weight
        self.head.bias[0] += share * self.imitated @ self.imitation.bias
        return self

    @torch.no_grad()
    def unfold(self, exported: dict[str, torch.Tensor], x: torch.Tensor, taught: torch.Tensor) -> LivenessNet:
        """Takes exported weights up again, to be trained further; in evaluation mode the answers stay what they were.

        ``exported`` has no batch normalisations and no imitation. The former come back with the means and deviations
        that the inputs ``x`` show, the latter as the ridge regression of the teachers' answers ``taught``, n x 3, NaN
        where unknown; its folded share goes out of the live logit again.
        """
        state, layers = self.state_dict(), {name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)}
        exported = {name: value.to(x.device) for name, value in exported.items()}
        if {name.removesuffix(".weight") for name in exported if name.endswith(".weight")} != layers | {"head"}:
            raise ValueError("the exported network has other layers than the one to be trained")
        self.load_state_dict(state | {name: value for name, value in exported.items() if name in state})
        hooks = []
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                parent, _, index = name.rpartition(".")
                hooks.append(_transparent(module, exported[f"{parent}.{int(index) - 1}.bias"]))
        features = self.eval().embed(x)
        for hook in hooks:
            hook.remove()
        weights = _ridge(torch.cat([features, features.new_ones(len(features), 1)], 1), taught)
        self.imitation.weight.copy_(weights[:-1].T)
        self.imitation.bias.copy_(weights[-1])
        return self.fold_imitation(-IMITATION_SHARE)


def _transparent(norm: nn.BatchNorm2d, bias: torch.Tensor) -> RemovableHandle:
    """Lets a normalisation, as soon as it sees an input, take its statistics and add ``bias`` and nothing else."""

    def take(module: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)
        module.weight.copy_((variance + module.eps).sqrt())
        module.bias.copy_(bias + mean)

    return norm.register_forward_pre_hook(take)


def _ridge(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Regression of y on x over the rows without NaN, and zeros where there are none."""
    known = ~y.isnan().any(1)
    if not known.any():
        return x.new_zeros(x.shape[1], y.shape[1])
    x, y = x[known].double(), y[known].double()
    gram = x.T @ x
    return torch.linalg.solve(gram + RIDGE * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device), x.T @ y).float()
