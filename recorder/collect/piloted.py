"""A pilot drives one episode in simulated time, as `teleop/operator/pilot.py` lets it drive over the wire.

Part of recorder; exports `piloted`. Each state is answered by one command, at once.
"""

from __future__ import annotations

from typing import Final

from recorder.collect.drive import Drive
from recorder.collect.folder import CollectError
from teleop.operator.pilot import Ask, Pilot, answered, command_of

_WAITS_MAX: Final = 1000
"""How many commands a pilot may give before it holds the dead-man: no time passes until then."""


def piloted(drive: Drive, pilot: Pilot) -> bool:
    """Drive until the task is done, its steps are over, or the pilot says so; return whether it is to be kept.

    Raises CollectError if the pilot never begins.
    """
    waits = 0
    while drive.ended is None:
        answer = answered(pilot, drive.state, drive.values)
        if answer in (Ask.FINISH, Ask.DISCARD):
            drive.finish()
            return answer is Ask.FINISH
        mode, values, held, by_hand = command_of(answer)
        drive.ask(mode, values, dead_man=held, intervention=by_hand)
        waits += drive.last is None
        if waits > _WAITS_MAX:
            never = f"did not hold the dead-man in {_WAITS_MAX} states, and no time passes until it does"
            raise CollectError(f"The driver of {drive.episode} {never}. Let it drive, or finish.")
    return True
