"""What each picture shows, and the page in `docs/screenshots/` that lists them all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.screenshots.studio import SCHEMES, SIZES, file_of

CAPTIONS: Final = {
    "front": "Before sign-in: how to come in, who drives now, what was driven lately, what it pays",
    "rules": "Rules and pay",
    "lobby-first": "The lobby of somebody who has not driven yet",
    "guide": "The first drive: two steps are done, the third is in progress",
    "practice": "After a first drive that did not show everything yet",
    "lobby": "The lobby",
    "account": "The account menu of a browser with two wallets",
    "loading": "A robot is loaded before it can be driven",
    "start": "Before the first motion",
    "controls": "The controls, which anyone can change",
    "help": "How to drive",
    "drive": "Driving: the cube is lifted, and it is said that this is enough",
    "cameras": "Two cameras are open, and somebody waits for the robot",
    "queue": "Waiting for the robot",
    "watch": "The robot's owner watches",
    "leaving": "Leaving in the middle is asked about first",
    "handing-in": "A drive is handed in",
    "result": "An accepted drive",
    "replay": "The drive once more, after its end",
    "not-accepted": "A drive that was not accepted, and why",
    "explained": "What a drive lost and when, beside the best drive from a like start",
    "episode": "The same of an older episode",
    "data": "For whoever looks for data: every verified episode, as a picture that moves when it is pointed at",
    "data-list": "The same as a table, narrowed and in another order",
    "data-chosen": "Episodes are chosen",
    "data-make": "A data set is made of them",
    "data-nothing": "Nothing is like that",
    "data-away": "The hub cannot search at the moment",
    "sets": "Data sets",
    "set": "A data set: its card, how to load it, its versions, its episodes",
    "seen": "An episode, on one clock with what two of its cameras saw",
    "review": "Looking at a drive before it is handed in",
    "backup": "At the first pay, the page asks to save the wallet's key",
    "episodes": "Your own episodes, one of them not signed yet",
    "left": "The lobby, after a drive was left in the middle",
    "return": "Coming back to a drive that was left",
    "disconnected": "The connection was lost in the middle of a drive",
    "hub-away": "The hub does not answer",
    "stopped": "Stopped: the operator, who cannot clear it",
    "stopped-owner": "Stopped: the owner, who can",
    "stopped-open": "The owner opens a robot that is stopped",
    "base": "A robot with a base that drives",
    "pad-unknown": "A gamepad that the browser does not know",
    "pad": "Setting up a gamepad by pressing what is asked for",
    "added": "A robot that was added from the URDF that its maker publishes",
    "wallets": "Signed out: the wallets of this browser, and the question before a key is deleted",
    "key-lost": "The browser's data was cleared while the page was open",
    "lost-wallet": "A wallet whose key is gone",
    "nowhere": "An address that leads nowhere",
}
"""The name of each picture, in the order of the list."""
HEAD: Final = """# Screenshots

Every page and state that a person meets, at 1440x900, and on a phone held upright (390x844) and sideways (844x390), in
light and dark. `make screenshots` takes them all and writes this page; `ARGS=people` takes one set, and
`ARGS=people:queue,watch` some of its pictures.
"""
WIDTHS: Final = {"desktop": 460, "upright": 130, "sideways": 280}


def index() -> str:
    """Return the page that lists all pictures."""
    return "\n".join([HEAD, *(_section(name, said) for name, said in CAPTIONS.items())])


def _section(name: str, said: str) -> str:
    pictures = [
        f'<a href="{file}"><img src="{file}" alt="{said}: {size.name}, {scheme}" width="{WIDTHS[size.name]}"></a>'
        for scheme in SCHEMES
        for size in SIZES
        for file in [file_of(name, size, scheme)]
    ]
    return "\n".join([f"## {said}", "", *pictures, ""])


def write_index(folder: Path) -> None:
    """Write the page beside the pictures."""
    (folder / "README.md").write_text(index())
