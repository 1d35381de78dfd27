# mypy: allow-subclassing-any
"""XMem's network.

Cheng and Schwing, "XMem: Long-Term Video Object Segmentation with an Atkinson-Shiffrin Memory
Model", ECCV 2022, section 3. Names of modules are those of the published weights. Tensors are (B,
C, H, W) float32 at stride 4, 8 or 16 of the padded image; in the value and decoder paths the K
objects are the batch.

A convolution is linear, so where one reads cat[frame, object] the frame's share is computed once
for all objects.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfx_matte.errors import PropagatorError
from vfx_matte.propagate.xmem.residual import make_stage
from vfx_matte.wording import command

Weights = Path | str | Mapping[str, Any]
"""A file with a state dict, or the state dict itself."""

F16, F8, F4 = 1024, 512, 256
"""Channels of the image features at stride 16, 8 and 4."""
PIXELS_AT_ONCE = 2**23
"""Pixels of the padded image times objects in one batch: 20 objects at 480p, 4 at 1080p.

About 3 kB of memory each.
"""
_OBJECT_FEATURES = 256  # of the value encoder's trunk
_DECODER, _HIDDEN_MIDDLE = 512, 256
_MASK_CHANNELS = 2  # this object, and the sum of the others


class Dimensions(NamedTuple):
    """Channels of keys, values and the hidden state (0: the network has none)."""

    key: int = 64
    value: int = 512
    hidden: int = 64


class ImageFeatures(NamedTuple):
    """Features of one image at stride 16, 8 and 4, each (1, C, h, w)."""

    f16: Tensor
    f8: Tensor
    f4: Tensor


class Keys(NamedTuple):
    """Keys of one image at stride 16."""

    key: Tensor
    """(1, CK, h, w)."""

    shrinkage: Tensor
    """(1, 1, h, w), at least 1."""

    selection: Tensor
    """(1, CK, h, w), in [0, 1]."""


def aggregate(objects: Tensor) -> Tensor:
    """Turn independent object probabilities (K, H, W) into (K+1, H, W) that sum to 1, background
    first.

    Soft aggregation, Oh et al., "Space-Time Memory Networks", ICCV 2019, eq. 5: the background is
    Π(1 − p_k), and the result is the softmax of the logits. exp(logit p) is the odds p / (1 − p),
    so it is the odds over their sum.
    """
    # clamped as published, so that odds are finite
    everything = torch.cat([(1 - objects).prod(0, keepdim=True), objects]).clamp(1e-7, 1 - 1e-7)
    odds = everything / (1 - everything)
    return odds / odds.sum(0, keepdim=True)


def with_others(objects: Tensor) -> Tensor:
    """Put beside every object the sum of the others: (K, H, W) → (K, 2, H, W).

    Sums what is before and after: no cancelling.
    """
    before, after = (
        functional.pad(each.cumsum(0)[:-1], (0, 0, 0, 0, 1, 0))
        for each in (objects, objects.flip(0))
    )
    return torch.stack([objects, before + after.flip(0)], 1)


class KeyEncoder(nn.Module):
    """ResNet-50 up to stride 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.res2 = make_stage(64, 64, 3, stride=1, is_bottleneck=True)
        self.layer2 = make_stage(F4, 128, 4, stride=2, is_bottleneck=True)
        self.layer3 = make_stage(F8, 256, 6, stride=2, is_bottleneck=True)

    def forward(self, image: Tensor) -> ImageFeatures:
        """image: (1, 3, H, W), normalised."""
        stem = functional.relu(self.bn1(self.conv1(image)), inplace=True)
        f4 = self.res2(functional.max_pool2d(stem, 3, 2, 1))
        f8 = self.layer2(f4)
        return ImageFeatures(self.layer3(f8), f8, f4)


class KeyProjection(nn.Module):
    """Key k, shrinkage s = x² + 1 and selection e = sigmoid(x) from f16 (XMem section 3.3)."""

    def __init__(self, key_dim: int) -> None:
        super().__init__()
        self.key_proj = nn.Conv2d(F16, key_dim, 3, padding=1)
        self.d_proj = nn.Conv2d(F16, 1, 3, padding=1)
        self.e_proj = nn.Conv2d(F16, key_dim, 3, padding=1)

    def forward(self, f16: Tensor) -> Keys:
        """f16: (1, 1024, h, w)."""
        return Keys(self.key_proj(f16), self.d_proj(f16).square() + 1, self.e_proj(f16).sigmoid())


class SharedConvolution(nn.Conv2d):
    """A 3×3 convolution that computes once what is the same for all objects."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, x: Tensor, frame: Tensor | None = None, *, rectified: bool = False) -> Tensor:
        """x: (K, C, h, w).

        frame: (1, C', h, w), channels that stand before x's and are the same for all objects.
        rectified: of what is positive in x and frame.
        """
        return convolve_shared(x, frame, self.weight, self.bias, rectified=rectified)


def convolve_shared(
    x: Tensor, frame: Tensor | None, weight: Tensor, bias: Tensor | None, *, rectified: bool
) -> Tensor:
    """The 3×3 convolution of cat[frame, x] for every object of x; see `SharedConvolution`."""
    if rectified:
        x, frame = functional.relu(x), None if frame is None else functional.relu(frame)
    if frame is None:
        whole: Tensor = functional.conv2d(x, weight, bias, padding=1)
        return whole
    of_frame, of_object = weight.split([frame.shape[1], x.shape[1]], dim=1)
    result: Tensor = functional.conv2d(x, of_object, bias, padding=1)
    return result.add_(functional.conv2d(frame, of_frame, padding=1))


class GroupResBlock(nn.Module):
    """Pre-activated residual block; a 3×3 convolution is the skip where the width changes."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.downsample = (
            SharedConvolution(channels_in, channels_out) if channels_in != channels_out else None
        )
        self.conv1 = SharedConvolution(channels_in, channels_out)
        self.conv2 = SharedConvolution(channels_out, channels_out)

    def forward(self, g: Tensor, frame: Tensor | None = None) -> Tensor:
        """g: (K, C, h, w).

        frame: (1, C', h, w), channels that stand before g's and are the same for all objects.
        """
        inner = self.conv2(self.conv1(g, frame, rectified=True), rectified=True)
        summed: Tensor = inner.add_(g if self.downsample is None else self.downsample(g, frame))
        return summed


class ChannelGate(nn.Module):
    """CBAM's channel attention: one MLP over average- and max-pooled vectors (Woo et al., ECCV
    2018, eq. 2).
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        narrow = channels // reduction
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (K, C, h, w)."""
        attention = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        return x * attention.sigmoid()[:, :, None, None]


# Only its name in the state dict, `SpatialGate.spatial.conv`, makes a module of it.
class _SpatialConvolution(nn.Module):
    """Holds the spatial gate's convolution under its published name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class SpatialGate(nn.Module):
    """CBAM's spatial attention over [max, mean] of the channels (Woo et al., ECCV 2018, eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = _SpatialConvolution()

    def forward(self, x: Tensor) -> Tensor:
        """x: (K, C, h, w)."""
        # the maximum first, as the published weights have it
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.spatial(pooled).sigmoid()


class Attention(nn.Module):
    """CBAM: channel, then spatial gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(channels)
        self.SpatialGate = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """x: (K, C, h, w)."""
        return self.SpatialGate(self.ChannelGate(x))


class FeatureFusionBlock(nn.Module):
    """Joins what is known of the frame with what is known of each object."""

    def __init__(self, frame_channels: int, object_channels: int, channels_out: int) -> None:
        super().__init__()
        self.block1 = GroupResBlock(frame_channels + object_channels, channels_out)
        self.attention = Attention(channels_out)
        self.block2 = GroupResBlock(channels_out, channels_out)

    def forward(self, frame: Tensor, g: Tensor) -> Tensor:
        """frame: (1, C, h, w); g: (K, C', h, w)."""
        g = self.block1(g, frame)
        return self.block2(g + self.attention(g))


class HiddenUpdate(nn.Module):
    """The gated recurrent update of the hidden state (XMem section 3.5, "sensory memory")."""

    def __init__(self, channels_in: int, hidden_dim: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(channels_in + hidden_dim, 3 * hidden_dim, 3, padding=1)

    def forward(self, g: Tensor, hidden: Tensor) -> Tensor:
        """g: (K, C, h, w); hidden: (K, CH, h, w). Returns the next hidden state."""
        # in this order in the published weights
        forget, update, new = self.transform(torch.cat([g, hidden], 1)).chunk(3, 1)
        gate = update.sigmoid()
        return forget.sigmoid() * hidden * (1 - gate) + gate * new.tanh()


class DecoderHiddenUpdate(HiddenUpdate):
    """The update from the decoder's features of three strides."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__(_HIDDEN_MIDDLE, hidden_dim)
        self.g16_conv = nn.Conv2d(_DECODER, _HIDDEN_MIDDLE, 1)
        self.g8_conv = nn.Conv2d(256, _HIDDEN_MIDDLE, 1)
        self.g4_conv = nn.Conv2d(256 + 1, _HIDDEN_MIDDLE, 1)

    def gather(self, g16: Tensor, g8: Tensor, g4: Tensor, logits: Tensor) -> Tensor:
        """Bring all to stride 16 and sum.

        A mean commutes with a 1×1 convolution, so the mean is taken first.
        """
        g4 = torch.cat([functional.avg_pool2d(g4, 4), functional.avg_pool2d(logits, 4)], 1)
        return self.g16_conv(g16) + self.g8_conv(functional.avg_pool2d(g8, 2)) + self.g4_conv(g4)


class ValueEncoder(nn.Module):
    """ResNet-18 up to stride 16 on [RGB, mask, other masks], fused with f16."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 + _MASK_CHANNELS, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = make_stage(64, 64, 2, stride=1, is_bottleneck=False)
        self.layer2 = make_stage(64, 128, 2, stride=2, is_bottleneck=False)
        self.layer3 = make_stage(128, _OBJECT_FEATURES, 2, stride=2, is_bottleneck=False)
        self.fuser = FeatureFusionBlock(F16, _OBJECT_FEATURES, dimensions.value)
        self.hidden_reinforce = (
            HiddenUpdate(dimensions.value, dimensions.hidden) if dimensions.hidden else None
        )

    def forward(self, image: Tensor, f16: Tensor, objects: Tensor) -> Tensor:
        """image: (1, 3, H, W); f16: (1, 1024, h, w); objects: (K, 2, H, W), see `with_others`.

        Returns (K, CV, h, w).
        """
        masked = torch.cat([image.expand(len(objects), -1, -1, -1), objects], 1)
        # pooled before it is rectified, as published
        stem = self.bn1(self.conv1(masked.contiguous(memory_format=torch.channels_last)))
        g = self.layer1(functional.relu(functional.max_pool2d(stem, 3, 2, 1), inplace=True))
        return self.fuser(f16, self.layer3(self.layer2(g)))


class UpsampleBlock(nn.Module):
    """Doubles the resolution of g and adds the image features of that stride."""

    def __init__(self, skip_channels: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_channels, channels_in, 3, padding=1)
        self.out_conv = GroupResBlock(channels_in, channels_out)

    def forward(self, skip: Tensor, g: Tensor) -> Tensor:
        """skip: (1, C, 2h, 2w); g: (K, C', h, w)."""
        # the convolution first: it takes the most memory
        shared = self.skip_conv(skip)
        enlarged = _enlarge(g, 2).add_(shared)
        del shared
        return self.out_conv(enlarged)


def _enlarge(g: Tensor, factor: int) -> Tensor:
    enlarged: Tensor = functional.interpolate(
        g, scale_factor=factor, mode="bilinear", align_corners=False
    )
    return enlarged


class Decoder(nn.Module):
    """Logits of every object from the frame's features, the memory's answer and the hidden
    state.
    """

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.fuser = FeatureFusionBlock(F16, dimensions.value + dimensions.hidden, _DECODER)
        self.hidden_update = DecoderHiddenUpdate(dimensions.hidden) if dimensions.hidden else None
        self.up_16_8 = UpsampleBlock(F8, _DECODER, 256)
        self.up_8_4 = UpsampleBlock(F4, 256, 256)
        self.pred = nn.Conv2d(256, 1, 3, padding=1)

    def forward(
        self, features: ImageFeatures, readout: Tensor, hidden: Tensor | None, *, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout: (K, CV, h, w); hidden: (K, CH, h, w), or None for a network without.

        update: whether to advance the hidden state. Returns logits (K, 1, 16h, 16w) and the hidden
        state to keep.
        """
        g16 = self.fuser(
            features.f16, readout if hidden is None else torch.cat([readout, hidden], 1)
        )
        # up to stride 8, then 4; all three also feed the hidden state
        g8 = self.up_16_8(features.f8, g16)
        g4 = self.up_8_4(features.f4, g8)
        logits = self.pred(functional.relu(g4))
        if update and hidden is not None and self.hidden_update is not None:
            hidden = self.hidden_update(self.hidden_update.gather(g16, g8, g4, logits), hidden)
        return _enlarge(logits, 4), hidden


class XMemNetwork(nn.Module):
    """The whole network; `state_dict()` has the published names and shapes (412 tensors with a
    hidden state).
    """

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.pixels_at_once = PIXELS_AT_ONCE
        self.key_encoder = KeyEncoder()
        self.value_encoder = ValueEncoder(dimensions)
        self.key_proj = KeyProjection(dimensions.key)
        self.decoder = Decoder(dimensions)

    def encode_image(self, image: Tensor) -> tuple[Keys, ImageFeatures]:
        """image: (1, 3, H, W), normalised, H and W multiples of 16."""
        features = self.key_encoder(image)
        return self.key_proj(features.f16), features

    def encode_value(self, image: Tensor, f16: Tensor, objects: Tensor) -> Tensor:
        """Values (K, CV, h, w) of the objects' probabilities (K, H, W) on this image."""
        parts = with_others(objects).split(self._objects_at_once(objects))
        return torch.cat([self.value_encoder(image, f16, part) for part in parts])

    def reinforce(self, value: Tensor, hidden: Tensor | None) -> Tensor | None:
        """The deep update of the hidden state from the frame's own values (XMem section 3.5)."""
        if hidden is None or self.value_encoder.hidden_reinforce is None:
            return hidden
        return self.value_encoder.hidden_reinforce(value, hidden)

    def decode(
        self, features: ImageFeatures, readout: Tensor, hidden: Tensor | None, *, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Object probabilities (K+1, H, W), background first, and the hidden state to keep; see
        `Decoder.forward`.
        """
        # so many objects at a time; they share the frame's features
        together = self._objects_at_once(features.f4, scale=4)
        states = [None] * len(readout) if hidden is None else hidden.split(together)
        pairs = zip(readout.split(together), states, strict=False)
        logits, updated = zip(
            *(self.decoder(features, one, state, update=update) for one, state in pairs),
            strict=True,
        )
        # in float32 also under autocast: odds near 0 and 1 need the bits
        objects = torch.cat(logits).squeeze(1).float().sigmoid()
        return aggregate(objects), None if hidden is None else torch.cat(updated)

    def _objects_at_once(self, planes: Tensor, *, scale: int = 1) -> int:
        """How many objects go through the network in one batch, so that memory is bounded for any
        number of them.

        planes: (…, H/scale, W/scale).
        """
        height, width = planes.shape[-2:]
        return max(1, self.pixels_at_once // int(height * width * scale**2))


def load_network(weights: Weights) -> XMemNetwork:
    """Build the network that fits published weights and copy them in.

    Args:
        weights: a file as `torch.save` writes it (read with weights_only=True, so it cannot run
            code) or its state dict. Key, value and hidden dimensions are read from it.

    Returns:
        The network in evaluation mode, on the CPU, channels last.

    Raises:
        PropagatorError: the file is missing or unreadable, or a tensor differs, whose name it says.
    """
    tensors = dict(_read(Path(weights)) if isinstance(weights, str | Path) else weights)
    first = tensors.get("value_encoder.conv1.weight")
    # trained with one object: there is no channel for the others, and zeros read nothing from it
    if isinstance(first, Tensor) and first.ndim == 4 and first.shape[1] == 4:
        tensors["value_encoder.conv1.weight"] = functional.pad(first, (0, 0, 0, 0, 0, 1))
    with torch.device("meta"):  # no random initialisation of what is overwritten anyway
        network = XMemNetwork(_dimensions(tensors))
    # before anything is copied, so that the first tensor that differs is named
    _compare(tensors, network.state_dict())
    network.to_empty(device="cpu").to(memory_format=torch.channels_last)
    network.load_state_dict(tensors)
    network.eval().requires_grad_(requires_grad=False)
    return network


def _read(path: Path) -> Mapping[str, Any]:
    """The state dict in a file."""
    hint = f"{command('weights fetch')} gets XMem.pth and verifies it"
    if not path.is_file():
        raise PropagatorError(f"there are no XMem weights at {path}", hint=hint)
    try:
        # what PyTorch wrote before 1.6 cannot be mapped, and is read
        in_place = zipfile.is_zipfile(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=in_place)
    except Exception as error:  # a damaged file makes torch.load raise almost anything
        raise PropagatorError(
            f"{path} is not a file of PyTorch weights: {type(error).__name__}", hint=hint
        ) from error
    if not isinstance(tensors, Mapping):
        raise PropagatorError(
            f"{path} holds a {type(tensors).__name__}, expected named tensors", hint=hint
        )
    return tensors


def _dimensions(tensors: Mapping[str, Any]) -> Dimensions:
    """Read the dimensions off the three tensors that tell them; where one is odd, `_compare` names
    it.
    """

    # where a tensor is missing or odd the usual number, so that `_compare` finds it
    def rows(name: str, otherwise: int) -> int:
        tensor = tensors.get(name)
        return (
            int(tensor.shape[0]) if isinstance(tensor, Tensor) and tensor.ndim == 4 else otherwise
        )

    return Dimensions(
        key=rows("key_proj.key_proj.weight", Dimensions().key),
        value=rows("value_encoder.fuser.block2.conv2.weight", Dimensions().value),
        hidden=max(
            rows(f"{part}.transform.weight", 0)
            for part in ("decoder.hidden_update", "value_encoder.hidden_reinforce")
        )
        // 3,
    )


def _compare(tensors: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Raise PropagatorError naming the first tensor that is missing, of another shape, or
    too many.
    """
    hint = "use XMem.pth or XMem-s012.pth of the XMem release v1.0"
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        found = tensors.get(name)
        if not isinstance(found, Tensor):
            raise PropagatorError(
                f"these are not XMem weights: tensor {name!r} {shape} is missing", hint=hint
            )
        if tuple(found.shape) != shape:
            raise PropagatorError(
                f"these are not XMem weights: {name!r} is {tuple(found.shape)}, expected {shape}",
                hint=hint,
            )
    for name in tensors:
        if name not in expected:
            raise PropagatorError(
                f"these are not XMem weights: tensor {name!r} is not part of XMem", hint=hint
            )
