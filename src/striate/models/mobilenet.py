"""MobileNetV2 (Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018).

Parameter names equal torchvision's.
"""

from __future__ import annotations

from itertools import accumulate

from torch import Tensor, nn

from striate.models.contract import MODELS, ChainedFeatures, is_small, require_side
from striate.models.initial import kaiming
from striate.models.norm import feature_norm

# the paper's table 2: expansion, maps, blocks, stride of the first block
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _conv(inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=norm == "none"),
        feature_norm(norm, outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """1×1 to more maps, 3×3 within each map, 1×1 to few maps without activation; added to an input of equal shape."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, norm: str) -> None:
        super().__init__()
        self.added = stride == 1 and inputs == outputs
        hidden = inputs * expansion
        self.conv = nn.Sequential(
            *([_conv(inputs, hidden, 1, norm)] if expansion > 1 else []),
            _conv(hidden, hidden, 3, norm, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=norm == "none"),
            feature_norm(norm, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return N outputs h w."""
        out: Tensor = self.conv(x)
        return x + out if self.added else out


class MobileNetV2(ChainedFeatures):
    """A strided convolution, 17 inverted residuals, a 1×1 convolution to 1,280 maps, their average, a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        small: Stride 1 in place of 2 in the first convolution and in the first strided block.
        dropout: Probability before the linear layer.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        small: bool,
        dropout: float = 0.2,
        norm: str = "batch",
    ) -> None:
        layers: list[nn.Module] = [_conv(input_shape[0], 32, 3, norm, stride=1 if small else 2)]
        inputs = 32
        for stage, (expansion, outputs, blocks, first_stride) in enumerate(STAGES):
            for block in range(blocks):
                stride = first_stride if block == 0 and not (small and stage == 1) else 1
                layers.append(InvertedResidual(inputs, outputs, stride, expansion, norm))
                inputs = outputs
        chain = nn.Sequential(*layers, _conv(inputs, 1280, 1, norm))
        super().__init__(chain, 1, nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, classes)))
        kaiming(self)

    def stages(self) -> dict[str, nn.Module]:
        """Return the first convolution, the last block of each row of the paper's table, and the last convolution."""
        ends = accumulate(blocks for _, _, blocks, _ in STAGES)
        rows = {f"bottleneck{number}": self.features[end] for number, end in enumerate(ends, 1)}
        return {"stem": self.features[0], **rows, "last": self.features[-1]}


@MODELS.register("mobilenetv2")
def mobilenetv2(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.2,
    norm: str = "batch",
) -> MobileNetV2:
    """Return MobileNetV2; 3,504,872 parameters with colour and 1,000 classes.

    `small` None chooses the small stem where a side is 64 pixels or less.
    """
    require_side("mobilenetv2", input_shape, 8)
    small = is_small(input_shape) if small is None else small
    return MobileNetV2(input_shape, classes, small, dropout, norm)
