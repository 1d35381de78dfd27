"""Opens detectors, and reads which classes are wanted of them."""

from __future__ import annotations

from pathlib import Path

from vfx_matte.choices import did_you_mean, unknown_choice
from vfx_matte.detect.base import Detector
from vfx_matte.detect.registry import (
    REGISTRY,
    SALIENT,
    DetectorEntry,
    missing,
    open_detector,
    registered,
)
from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.pipeline.first_mask.salient_network import salient_network
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.weights import require_known_checksum
from vfx_matte.settings.options import DetectSettings
from vfx_matte.wording import command, option


def opened_detector(
    settings: DetectSettings, *, model: Path, device: str, fetch: bool, reporter: Reporter
) -> tuple[DetectorEntry, Detector]:
    """Open the detector that is asked for, or the best one that can run here.

    Args:
        settings: which one, and its weights.
        model: the folder of network weights.
        device: what it runs on.
        fetch: whether a small network may be fetched on first use.
        reporter: is told which one it is, and what better ones lack.

    Raises:
        UsageError: there is no such detector or size, or a package is missing.
        WeightsError: its weights are missing, or are not a network of this kind.
        DeviceError: the device cannot be used.
    """
    if settings.detector == "auto" and settings.detector_weights is not None:
        raise UsageError(
            f"{option('detector_weights')} are for one detector",
            hint=f"say which with {option('detector')}",
        )
    if settings.detector_weights is not None and not settings.detector_weights.exists():
        raise WeightsError(
            f"{settings.detector_weights} does not exist",
            hint=f"{option('detector_weights')} names the file or folder of weights;"
            f" without it, the usual one in {model} is taken",
        )
    if settings.detector != "auto":
        entry = registered(settings.detector)
    else:
        entry, notes = _best_entry(settings, model)
        for note in notes:
            reporter.notify(note)
    # fetched on first use, as for first masks
    if (
        entry is SALIENT
        and settings.detector_weights is None
        and salient_network(model, reporter=reporter, fetch=fetch) is None
    ):
        # a damaged file is there, which a notice has said
        is_there = (model / SALIENT.weights).exists()
        state = "cannot be used from" if is_there else "is not in"
        again = {"force": True} if is_there else {}
        fetch_it = command("weights fetch", Path(SALIENT.weights).stem, **again)
        raise WeightsError(
            f"without any detector nothing can be found: {SALIENT.title} {state} {model}",
            hint=f"{fetch_it} gets it; or make"
            f" a first mask with {command('mask')} and use {command('segment')}",
        )
    weights = weights_of(entry, settings, model)
    if weights.is_file():
        require_known_checksum(weights)
    detector = open_detector(entry, weights=weights, device=device)
    reporter.notify(f"looks for objects with {entry.title}, weights {weights}")
    return entry, detector


def wanted_classes(text: str, entry: DetectorEntry, detector: Detector) -> tuple[str, ...]:
    """The classes that a text names, as the detector writes them; empty = all.

    Raises:
        UsageError: it does not know one of them.
    """
    # as people type them: any case, any spaces
    wanted = tuple(" ".join(part.split()) for part in text.split(",") if part.strip())
    if text and not wanted:
        raise UsageError(
            f"{option('classes')} names no class", hint="as in person,dog; leave it out for all"
        )
    if wanted and len(detector.classes) < 2 and set(wanted) != set(detector.classes):
        others = [one.name for one in REGISTRY if one.is_offered and one is not SALIENT]
        raise UsageError(
            f"{entry.title} knows no classes",
            hint=f"leave {option('classes')} out, or use {option('detector', others[0])}"
            f" ({', '.join(others[1:])})",
        )
    known = {name.lower(): name for name in detector.classes}
    unknown = [name for name in wanted if name.lower() not in known]
    if len(unknown) == 1:
        raise unknown_choice("class", unknown[0], detector.classes)
    if unknown:
        near = [(name, did_you_mean(name, detector.classes)) for name in unknown]
        raise UsageError(
            f"unknown classes {', '.join(map(repr, unknown))}",
            hint="".join(f"{name!r}: {guess}" for name, guess in near if guess)
            + f"choose of {', '.join(detector.classes)}",
        )
    return tuple(known[name.lower()] for name in wanted)


def _best_entry(settings: DetectSettings, model: Path) -> tuple[DetectorEntry, list[str]]:
    """The best detector that can run, and what the better ones lack."""
    # one whose packages are there and whose weights are not is worth a line; the others are many
    better = sorted(
        (entry for entry in REGISTRY if entry.is_offered and entry is not SALIENT),
        key=lambda entry: -entry.preference,
    )
    if settings.backbone:
        sizes = [size for entry in better for size in entry.backbones]
        better = [entry for entry in better if settings.backbone in entry.backbones]
        if not better:
            raise unknown_choice("backbone", settings.backbone, dict.fromkeys(sizes))
    notes: list[str] = []
    for entry in better:
        lack = missing(entry, weights_of(entry, settings, model))
        if not lack:
            return entry, []
        if not notes:
            notes.append(f"{lack}, for objects with classes")
    # a size was asked for, which only these have: opening says what the best of them lacks
    return (better[0], []) if settings.backbone else (SALIENT, notes)


def weights_of(entry: DetectorEntry, settings: DetectSettings, model: Path) -> Path:
    """The file or folder of a detector's weights, which need not be there.

    Raises:
        UsageError: it has no such size.
    """
    if settings.detector_weights is not None:
        return settings.detector_weights
    if settings.backbone and settings.backbone not in entry.backbones:
        raise unknown_choice(
            "backbone",
            settings.backbone,
            entry.backbones,
            hint="" if entry.backbones else f"{entry.title} has one network only",
        )
    return model / entry.backbones.get(settings.backbone, entry.weights)
