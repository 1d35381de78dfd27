"""`weights` where PyTorch is: only what the network accepts is taken, and `check` says what it
found.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine
from support.weights_server import Served, archive, write_table

torch = pytest.importorskip("torch")

from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.propagate.xmem.weights import describe_weights  # noqa: E402

Tensors = dict[str, Any]


def tensors(dimensions: Dimensions) -> Tensors:
    """All names and shapes; each tensor is one number, so that a file of them is small."""
    with torch.device("meta"):
        network = XMemNetwork(dimensions)
    made = {
        name: torch.ones((), dtype=one.dtype).expand(one.shape)
        for name, one in network.state_dict().items()
    }
    assert len(made) >= 400
    return made


def saved(weights: object, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(weights, file, **options)
    return file.getvalue()


GOOD = saved(tensors(Dimensions()))


@pytest.fixture
def mirror(cli: CommandLine, server: Served) -> Served:
    write_table(cli.folder / "model", server.url)
    server.content = GOOD
    return server


def known() -> str:
    entry = tomllib.loads(Path("model/weights.toml").read_text(encoding="utf-8"))["weights"][0]
    return str(entry.get("sha256", ""))


@pytest.mark.parametrize(
    "options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"]
)
def test_what_the_network_accepts_is_taken(
    cli: CommandLine, mirror: Served, options: dict[str, bool]
) -> None:
    """Of any size: names and shapes count more."""
    mirror.content = saved(tensors(Dimensions()), **options)
    ran = cli("weights", "fetch")
    assert (
        "412 tensors named and shaped as XMem's; key 64, value 512, hidden 64; trained on several"
        " objects" in ran.stdout
    )
    assert known() == hashlib.sha256(mirror.content).hexdigest()
    ran = cli("weights", "check")
    assert "412 tensors" in ran.stdout
    assert "checksum   ok" in ran.stdout


def without(name: str) -> Callable[[Tensors], object]:
    return lambda all_of_them: {key: one for key, one in all_of_them.items() if key != name}


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("decoder.pred.bias"), "'decoder.pred.bias' (1,) is missing"),
        (
            lambda one: {**one, "decoder.pred.bias": torch.zeros(2)},
            "'decoder.pred.bias' is (2,), expected (1,)",
        ),
        (lambda one: {"network": one}, "is missing"),
        (lambda _: _Evil(), "is not a file of PyTorch weights"),
    ],
    ids=["lacks one", "other shape", "checkpoint", "code"],
)
def test_what_it_does_not_accept_is_rejected(
    cli: CommandLine, mirror: Served, change: Callable[[Tensors], object], says: str
) -> None:
    mirror.content = saved(change(tensors(Dimensions())))
    ran = cli.fails("weights", "fetch", code=1)
    assert says in ran.error
    assert not Path("model/XMem.pth").exists()
    assert Path("model/XMem.pth.rejected").exists()
    assert not Path("touched").exists()
    assert known() == ""


def test_an_archive_that_passed_without_pytorch_is_looked_at_again(
    cli: CommandLine, mirror: Served
) -> None:
    """Its checksum is known and right, and yet check says that it is no use."""
    content = archive(payload_bytes=1000)
    Path("model/XMem.pth").write_bytes(content)
    write_table(
        cli.folder / "model",
        mirror.url,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
    ran = cli.run("weights", "check")
    assert ran.code == 1
    assert "checksum   ok" in ran.stdout
    assert "NOT USABLE" in ran.stdout
    assert "model/XMem.pth: these are not XMem weights" in ran.error


@pytest.mark.parametrize(
    ("dimensions", "single", "says"),
    [
        (
            Dimensions(key=16, value=32, hidden=8),
            False,
            "key 16, value 32, hidden 8; trained on several objects",
        ),
        (
            Dimensions(key=8, value=16, hidden=0),
            False,
            "key 8, value 16, no hidden state; trained on several objects",
        ),
        (
            Dimensions(key=8, value=16, hidden=8),
            True,
            "key 8, value 16, hidden 8; trained on a single object",
        ),
    ],
)
def test_check_describes_any_weights(
    cli: CommandLine, dimensions: Dimensions, *, single: bool, says: str
) -> None:
    weights = tensors(dimensions)
    if single:
        weights["value_encoder.conv1.weight"] = torch.ones(64, 4, 7, 7)
    Path("mine.pth").write_bytes(saved(weights))
    assert says in cli("weights", "check", "mine.pth").stdout
    facts = describe_weights(Path("mine.pth"))
    assert (facts.tensors, facts.dimensions, facts.single_object) == (
        len(weights),
        dimensions,
        single,
    )
