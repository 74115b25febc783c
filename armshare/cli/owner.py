"""The owner's commands: clear, remove, privacy, calibrate."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from armshare.cli.options import HUB, Ca, Data, HubUrl, out

cli = typer.Typer()


class Privacy(StrEnum):
    """Who gets what is driven with a robot."""

    PRIVATE = "private"
    PUBLIC = "public"


@cli.command()
def clear(
    robot: Annotated[str, typer.Argument(help="The robot's address or name.")],
    hub: HubUrl = HUB,
    data: Data = Path("data"),
    _ca: Ca = None,
) -> None:
    """Release a robot's e-stop or fault, as its owner (keys/owner.key below --data)."""
    from armshare.owner import clear as release

    if asyncio.run(release(hub, data, robot)):
        out.print(f"{robot} is released")
    else:
        out.print(f"{robot} is not stopped: there is nothing to clear")


@cli.command()
def remove(
    robot: Annotated[str, typer.Argument(help="The robot's address or name.")],
    hub: HubUrl = HUB,
    data: Data = Path("data"),
    _ca: Ca = None,
) -> None:
    """Remove a robot that is gone for good from the hub's list, as its owner; its episodes stay."""
    from armshare.owner import remove as take_away

    asyncio.run(take_away(hub, data, robot))
    out.print(f"{robot} is no longer listed; it comes back if its host does")


@cli.command()
def privacy(
    robot: Annotated[str, typer.Argument(help="The robot's address or name.")],
    what: Annotated[
        Privacy | None, typer.Argument(help="What is driven with it from now on; left out, what it is now is shown.")
    ] = None,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="A wallet that may read what is private; may be repeated. Others no longer may."
        ),
    ] = None,
    hub: HubUrl = HUB,
    data: Data = Path("data"),
    _ca: Ca = None,
) -> None:
    """Keep what is driven with a robot private, as its owner (keys/owner.key below --data), and say who may read it.

    It counts from the next episode on; what somebody has been given cannot be taken back (docs/privacy.md).
    """
    from armshare.owner import privacy as decide

    if what is None and reader:
        raise typer.BadParameter("say private or public before --reader")
    said = asyncio.run(decide(hub, data, robot, None if what is None else what is Privacy.PRIVATE, reader or []))
    out.print(f"{robot} is {'private' if said['private'] else 'public'}", highlight=False, soft_wrap=True)
    for one in said["readers"]:
        out.print(f"  what is private is read by {one}", highlight=False, soft_wrap=True)


@cli.command()
def calibrate(
    device: Annotated[str, typer.Argument(help="The serial port of the arm's adapter.")],
    file: Annotated[Path, typer.Argument(help="Where to write the calibration, as JSON.")],
) -> None:
    """Measure the joints of a real SO-101 with your help, and write its calibration file."""
    from armshare.calibrate import calibrate as measure

    measure(device, file, lambda text: print(text, flush=True))
    print(f"Written: {file}. The arm is still limp.")
