"""The command that makes and corrects first masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte import wording
from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import At, Output, opening_source
from vfx_matte.cli.loading import loading
from vfx_matte.cli.propagators import propagator_options
from vfx_matte.errors import UsageError
from vfx_matte.printable import shortened

Points = tuple[tuple[int, int], ...]

LONGEST_COORDINATE = 6
"""Digits of a coordinate; more are a slip."""

# what stands for numbers in help texts and messages
_PLACE = frozenset({"x", "y", "w", "h", "width", "height"})


@command()
def mask(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip.")],
    at: At = None,
    box: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="A box around the subject, in pixels."),
    ] = None,
    fg: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y", help="A click on the subject; repeat for more."),
    ] = None,
    bg: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y", help="A click beside the subject; repeat for more."),
    ] = None,
    fg_stroke: Annotated[
        list[str] | None,
        typer.Option(metavar='"X,Y X,Y …"', help="A line over the subject; repeat for more."),
    ] = None,
    bg_stroke: Annotated[
        list[str] | None,
        typer.Option(metavar='"X,Y X,Y …"', help="A line beside the subject; repeat for more."),
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto", help="Begin with what stands out: one object per subject, largest first."
        ),
    ] = False,
    object_id: Annotated[
        int | None,
        typer.Option(
            "--object",
            metavar="N",
            help="The object that is marked; others stay as they are in -o or --from.",
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MASK|propagated",
            help="Begin with this mask file, or the frame's propagated mask.",
        ),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="Leave the other objects out of the mask: segment goes on predicting them there.",
        ),
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=(
                "What finds masks: auto, salient, graph (without weights), sam2 or edgetam (their"
                " weights: `weights fetch`)."
            ),
        ),
    ] = "auto",
    output: Output = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview/--no-preview",
            help="Save the mask over the picture beside it, as NAME.preview.png.",
        ),
    ] = True,
) -> None:
    """Make a first mask, or correct one, by clicks, strokes, a box, or what stands out."""
    from vfx_matte.cli.show import paths, say, show_to_scripts
    from vfx_matte.timeline import parse_position

    # what is typed is read before the clip is opened, so that a slip in it costs no time
    position, outline = None if at is None else parse_position(at), _box(box) if box else None
    # marks keep the order within each kind; the kinds together say what is object and what is not
    clicks = [(_points(text, "--fg x,y", most=1)[0], True) for text in fg or ()]
    clicks += [(_points(text, "--bg x,y", most=1)[0], False) for text in bg or ()]
    strokes = [(_points(text, '--fg-stroke "x,y x,y …"'), True) for text in fg_stroke or ()]
    strokes += [(_points(text, '--bg-stroke "x,y x,y …"'), False) for text in bg_stroke or ()]
    opened = opening_source(session, clip)
    with loading():
        from vfx_matte.pipeline import first_mask
    propagated = begin == first_mask.PROPAGATED
    request = first_mask.MaskRequest(
        at=position,
        marks=first_mask.Marks(
            box=outline,
            clicks=tuple(first_mask.Click(x, y, is_object) for (x, y), is_object in clicks),
            strokes=tuple(first_mask.Stroke(points, is_object) for points, is_object in strokes),
        ),
        auto=auto,
        object_id=object_id,
        start=Path(begin) if begin is not None and not propagated else None,
        from_propagated=propagated,
        alone=alone,
    )
    # the network is fetched on first use unless config.ini forbids it; weights and masks lie where
    # segment looks for them
    settings = session.settings
    made = first_mask.save_first_mask(
        opened(),
        request,
        output=output,
        preview=preview,
        workspace=settings.paths.workspace,
        model=settings.paths.model,
        propagator=propagator_options(settings),
        fetch=settings.network.fetch == "auto",
        method=method,
        reporter=session,
    )
    if show_to_scripts(session, made, [made.path]):
        return
    # the path comes first, alone on its line, so that it can be copied
    paths([made.path])
    for one in made.objects:
        changed = f" (+{one.gained} px, -{one.lost} px)" if one.gained or one.lost else ""
        say(
            f"object {one.object_id}: {one.pixels} px{changed}, {one.share:.1%} of the picture,"
            f" confidence {one.confidence:.0%}"
        )
    # objects often need the same advice; it is given once
    # a low confidence without advice still wants a look
    unsure = {
        one.advice or "look at it, and mark what is missing and what is too much"
        for one in made.objects
        if one.is_unsure
    }
    for advice in sorted(unsure):
        say(f"unsure: {advice}")
    if made.preview is not None:
        say(f"preview: {made.preview}")
    if made.next_command:
        say(f"next: {made.next_command}")


def _box(texts: list[str]) -> tuple[int, int, int, int]:
    """The one box that there may be.

    Raises:
        UsageError: there are several, or it is typed otherwise.
    """
    # a second box means a second object: the last one must not win silently
    if len(texts) > 1:
        raise UsageError(
            f"{len(texts)} boxes are given, {' and '.join(map(shortened, texts))}, and one call"
            " marks one object",
            hint="one --box; then mark the other object with --object N and the same -o",
        )
    numbers = _integers(texts[0], "--box x,y,width,height", count=4)
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _points(text: str, form: str, *, most: int = 0) -> Points:
    """Points as typed: "x,y" once, or several with spaces between.

    Args:
        text: what was typed.
        form: how it is to be typed, for the message.
        most: how many points there may be; 0 is any number.

    Raises:
        UsageError: it is typed otherwise.
    """
    parts = text.split()
    if not parts or (most and len(parts) > most):
        raise UsageError(
            f"{shortened(text)!r} is not of the form {form}",
            hint=_whole_pixels(form),
        )
    return tuple((x, y) for x, y in (_integers(part, form, count=2) for part in parts))


def _integers(text: str, form: str, *, count: int) -> list[int]:
    # a sign is understood, so that what lies outside of the picture is told as that
    parts = [part.strip() for part in text.split(",")]
    # pasted as it is printed, in a help text or in a command that is to be completed
    if _PLACE.issuperset(part.lower() for part in parts):
        raise UsageError(
            f"{text!r} in {form} stands for pixels of the picture: type their numbers instead",
            hint=(
                f"such as {_example(form)}, from the left and from the top; a picture viewer shows"
                f" them in what {wording.command('frame')} saves"
            ),
        )
    if len(parts) != count or not all(part.removeprefix("-").isdecimal() for part in parts):
        raise UsageError(
            f"{shortened(text)!r} is not of the form {form}",
            hint=_whole_pixels(form),
        )
    # converting millions of digits would take minutes
    if any(len(part) > LONGEST_COORDINATE + 1 for part in parts):
        raise UsageError(
            f"{shortened(text)!r} is far outside of every picture",
            hint=_whole_pixels(form),
        )
    return [int(part) for part in parts]


def _whole_pixels(form: str) -> str:
    return f"whole pixels, separated by commas, such as {_example(form)}"


def _example(form: str) -> str:
    """An option with numbers, for one that is to be typed in a form like "--fg x,y"."""
    flag = form.split(maxsplit=1)[0]
    numbers = {"--box": "540,260,200,300"}.get(flag, "640,360")
    return f'{flag} "{numbers} 700,380"' if "stroke" in flag else f"{flag} {numbers}"
