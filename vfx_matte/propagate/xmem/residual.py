# mypy: allow-subclassing-any
"""Residual networks, of which XMem's two encoders are beginnings.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, fig. 5, with the
stride in the 3×3 convolution. Names and order of modules are those of the published weights. They
stand here because importing torchvision for them costs 160 MiB and a second.
"""

from __future__ import annotations

from torch import Tensor, nn

_EXPANSION = 4  # a bottleneck's output is so many times as wide as its middle


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions, or a 3×3 one in a bottleneck of 1×1 ones, beside a shortcut."""

    def __init__(self, channels_in: int, width: int, *, stride: int, is_bottleneck: bool) -> None:
        super().__init__()
        sides = (1, 3, 1) if is_bottleneck else (3, 3)
        widths = [width] * len(sides)
        if is_bottleneck:
            widths[-1] *= _EXPANSION
        shortcut = None
        if stride != 1 or channels_in != widths[-1]:
            convolution = nn.Conv2d(channels_in, widths[-1], 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(widths[-1]))
        # the first 3×3 convolution has the stride
        strided = sides.index(3)
        channels = channels_in
        for index, (side, channels_out) in enumerate(zip(sides, widths, strict=True)):
            convolution = nn.Conv2d(
                channels,
                channels_out,
                side,
                stride if index == strided else 1,
                padding=side // 2,
                bias=False,
            )
            setattr(self, f"conv{index + 1}", convolution)
            setattr(self, f"bn{index + 1}", nn.BatchNorm2d(channels_out))
            channels = channels_out
        self._count = len(sides)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W). Returns (B, C', H/stride, W/stride)."""
        inner = x
        for number in range(1, self._count + 1):
            inner = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(inner))
            if number < self._count:
                inner = inner.relu_()
        inner += x if self.downsample is None else self.downsample(x)
        return inner.relu_()


def make_stage(
    channels_in: int, width: int, count: int, *, stride: int, is_bottleneck: bool
) -> nn.Sequential:
    """One stage: `count` blocks, the first of which may stride.

    Args:
        channels_in: of what it is called with.
        width: of the 3×3 convolutions; a bottleneck's output is four times as wide.
        count: blocks.
        stride: of the first.
        is_bottleneck: see `ResidualBlock`.
    """
    channels = width * _EXPANSION if is_bottleneck else width
    first = ResidualBlock(channels_in, width, stride=stride, is_bottleneck=is_bottleneck)
    later = [
        ResidualBlock(channels, width, stride=1, is_bottleneck=is_bottleneck)
        for _ in range(count - 1)
    ]
    return nn.Sequential(first, *later)
