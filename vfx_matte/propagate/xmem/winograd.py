# mypy: allow-subclassing-any
"""Makes a loaded network quicker, on the CPU most of all: modules are changed in place.

Two things, both exact but for rounding. Batch normalisation, which is affine in evaluation, is
folded into the convolution before it. And 3×3 convolutions of stride 1, nearly all of XMem's work,
are computed by Winograd's minimal filtering with a quarter of the multiplications: Lavin and Gray,
"Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv 1509.09308). PyTorch's CPU
convolutions are direct ones that run as fast as the processor multiplies. cuDNN chooses among
algorithms itself, so on a GPU only the folding is done.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vfx_matte.propagate.xmem.network import XMemNetwork, convolve_shared

_TILE = 4  # the outputs of a tile are _TILE × _TILE, its inputs _PATCH × _PATCH
_PATCH = _TILE + 2
_POINTS = tuple(Fraction(*ratio) for ratio in ((0, 1), (5, 7), (-5, 7), (3, 2), (-3, 2)))
"""Where the polynomials are evaluated, beside infinity.

With 0, ±1, ±2, the usual choice, errors are 4 times as large.
"""
_LEAST_CHANNELS = 128  # with fewer, moving tiles costs what multiplications save
_LEAST_TILES = 16  # with fewer, reading transformed filters costs that
# of transformed tiles at a time: 8 MiB, so that memory is bounded and the processor's cache helps
_BLOCK_ELEMENTS = 2**21


def prepare(network: XMemNetwork, *, winograd: bool) -> None:
    """Fold batch normalisation, and with `winograd` replace the convolutions that gain by it.

    Filters take four times the room when they are transformed, so that is done to the decoder,
    which runs on every frame, not to the value encoder. The key encoder then stays as it is: where
    two memory elements are almost equally similar, the last bits of keys choose, and these are to
    be as near to the public implementation's as can be; it would gain a sixth only. The network
    must be in evaluation mode and in float32. Its state dict no longer has the published names
    afterwards.
    """
    for part in (network.value_encoder, network.decoder) if winograd else (network,):
        for parent in list(part.modules()):
            _fold(parent)
    for parent in list(network.decoder.modules()) if winograd else ():
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Conv2d) and _gains(module):
                setattr(parent, name, WinogradConvolution(module))


def _fold(parent: nn.Module) -> None:
    """Fold what batch normalisations this module has itself: bn1 into conv1 and so on, or 1 into 0
    of a `downsample`.
    """
    children = dict(parent.named_children())
    for name, module in children.items():
        before = str(int(name) - 1) if name.isdecimal() else name.replace("bn", "conv")
        if isinstance(module, nn.BatchNorm2d):
            setattr(parent, before, fuse_conv_bn_eval(children[before], module))
            setattr(parent, name, nn.Identity())


def _gains(module: nn.Conv2d) -> bool:
    """Whether Winograd's way is open to a convolution, and is quicker."""
    plain = (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
    return plain and bool(min(module.in_channels, module.out_channels) >= _LEAST_CHANNELS)


def transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Aᵀ (4, 6), G (6, 3) and Bᵀ (6, 6), float64 (Toom–Cook; Lavin and Gray, eq. 6 and 7).

    For a row d of 6 inputs and a filter g of 3 weights, Aᵀ[(G g) ⊙ (Bᵀ d)] are the 4 correlations.
    """
    powers = [[point**exponent for exponent in range(_PATCH)] for point in _POINTS]
    infinity = [
        [Fraction(exponent == last) for exponent in range(_PATCH)] for last in (_TILE - 1, 2)
    ]
    # correlation is the transpose of multiplying polynomials: Aᵀ and G evaluate at the points, of
    # which infinity reads the leading coefficient, and Bᵀ interpolates
    output = [[row[i] for row in powers] + [infinity[0][i]] for i in range(_TILE)]
    # Lagrange's denominators go into G, so that Bᵀ holds the products Π (x − root) as they are
    filters, inputs = [], []
    for index, point in enumerate(_POINTS):
        others = [other for other in _POINTS if other != point]
        scale = Fraction(1)
        for other in others:
            scale *= point - other
        filters.append([value / scale for value in powers[index][:3]])
        inputs.append([*_polynomial(others), Fraction(0)])
    matrices = output, [*filters, infinity[1][:3]], [*inputs, _polynomial(_POINTS)]
    first, second, third = (
        torch.tensor([[float(x) for x in row] for row in rows], dtype=torch.float64)
        for rows in matrices
    )
    return first, second, third


def _polynomial(roots: list[Fraction] | tuple[Fraction, ...]) -> list[Fraction]:
    """Coefficients of Π (x − root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = (
            [Fraction(0), *coefficients],
            [*(root * each for each in coefficients), Fraction(0)],
        )
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


class WinogradConvolution(nn.Module):
    """A 3×3 convolution of stride 1 and padding 1, right to about 1e-6; called like
    `SharedConvolution`.

    Its filters are transformed when an image first has tiles enough to be worth it; until then it
    is a direct one.
    """

    weight: Tensor | None  # (C', C, 3, 3), until it is transformed
    filters: Tensor | None  # (36, C, C'), from then on

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight, (output, _, inputs) = convolution.weight, transforms()
        self.register_buffer("weight", weight)
        self.register_buffer("filters", None)
        self.register_buffer("inputs", torch.kron(inputs, inputs).to(weight))  # (36, 36)
        self.register_buffer("output", torch.kron(output, output).to(weight))  # (16, 36)
        self.register_buffer(
            "bias", weight.new_zeros(len(weight)) if convolution.bias is None else convolution.bias
        )

    def forward(self, x: Tensor, frame: Tensor | None = None, *, rectified: bool = False) -> Tensor:
        """x: (K, C, h, w); frame: (1, C", h, w), channels that stand before x's and are the same
        for all.

        rectified: of what is positive in x and frame.
        """
        if self.weight is not None and len(x) * x[0, 0].numel() >= _LEAST_TILES * _TILE**2:
            self.filters, self.weight = _transformed(self.weight), None
        if self.weight is not None:
            return convolve_shared(x, frame, self.weight, self.bias, rectified=rectified)
        assert self.filters is not None
        if frame is None:
            return self._convolve(x, self.filters, self.bias, rectified=rectified)
        of_frame, of_object = self.filters.split([frame.shape[1], x.shape[1]], dim=1)
        nothing = torch.zeros_like(self.bias)
        return self._convolve(x, of_object, self.bias, rectified=rectified).add_(
            self._convolve(frame, of_frame, nothing, rectified=rectified)
        )

    def _convolve(self, x: Tensor, filters: Tensor, bias: Tensor, *, rectified: bool) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        count, height, width, channels = x.shape
        down, across = -(-height // _TILE), -(-width // _TILE)
        result = x.new_empty((count, down, _TILE, across, _TILE, filters.shape[2]))
        # some rows of tiles at a time, so that memory is bounded
        step = max(1, _BLOCK_ELEMENTS // (_PATCH**2 * count * across * max(filters.shape[1:])))
        for start in range(0, down, step):
            rows = min(step, down - start)
            # 1. cut their padded planes into overlapping patches of 6 × 6, a view without a copy
            top, bottom = _TILE * start - 1, _TILE * (start + rows) + 1
            margins = (
                *(0, 0, 1, across * _TILE - width + 1),
                *(max(0, -top), max(0, bottom - height)),
            )
            padded = functional.pad(x[:, max(0, top) : bottom], margins).contiguous()
            if rectified:
                padded.relu_()
            item, row, column, channel = padded.stride()
            patches = padded.as_strided(
                (_PATCH, _PATCH, count, rows, across, channels),
                (row, column, item, _TILE * row, _TILE * column, channel),
            )
            # 2. into the 36 points, one product of matrices per point, and back to tiles of 4 × 4
            points = torch.mm(self.inputs, patches.reshape(_PATCH**2, -1)).view(
                _PATCH**2, -1, channels
            )
            products = torch.bmm(points, filters)
            tiles = torch.mm(self.output, products.view(_PATCH**2, -1)).view(
                _TILE, _TILE, count, rows, across, -1
            )
            torch.add(tiles.permute(2, 3, 0, 4, 1, 5), bias, out=result[:, start : start + rows])
        # 3. the last tiles may reach beyond the plane
        return result.view(count, down * _TILE, across * _TILE, -1)[:, :height, :width].permute(
            0, 3, 1, 2
        )


def _transformed(weight: Tensor) -> Tensor:
    """Filters (C', C, 3, 3) in the 36 points: (36, C, C')."""
    _, filters, _ = transforms()
    both = torch.kron(filters, filters).to(weight.device)
    transformed = weight.new_empty((_PATCH**2, *weight.shape[1::-1]))
    # in float64, as it is done once; 64 channels at a time bound the memory that it takes
    for part, target in zip(weight.split(64, 1), transformed.split(64, 1), strict=True):
        target.copy_(
            torch.mm(both, part.double().permute(2, 3, 1, 0).reshape(9, -1)).view(target.shape)
        )
    return transformed
