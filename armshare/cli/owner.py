"""The owner's commands: clear, remove, calibrate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from armshare.cli.options import HUB, Ca, Data, HubUrl, out

cli = typer.Typer()


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
def calibrate(
    device: Annotated[str, typer.Argument(help="The serial port of the arm's adapter.")],
    file: Annotated[Path, typer.Argument(help="Where to write the calibration, as JSON.")],
) -> None:
    """Measure the joints of a real SO-101 with your help, and write its calibration file."""
    from armshare.calibrate import calibrate as measure

    measure(device, file, lambda text: print(text, flush=True))
    print(f"Written: {file}. The arm is still limp.")
