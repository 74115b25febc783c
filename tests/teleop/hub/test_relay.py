"""The relay takes frames as they come: each once, whole, and from fragments too."""

from __future__ import annotations

import numpy as np
import pytest

from teleop.wire import signalling
from teleop.wire.messages import Command, Mode, digest_of
from tests.teleop.hub.bench import Bench
from tests.teleop.hub.test_bad_input import engage
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio


async def test_who_drives_and_watches_gets_each_state_once():
    bench = Bench()
    dock, _host = await bench.host()
    operator = bench.operator()
    await operator.says(signalling.Watch(bench.robot))
    bench.hub.from_robot(dock, b"before")
    await operator.join()
    bench.hub.from_robot(dock, b"driving")
    assert operator.ear.frames == [b"before", b"driving"]


async def test_a_command_in_fragments_reaches_the_robot_like_any_other(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        await engage(driver, house)
        number = await driver.command(Mode.NEUTRAL)
        before = driver.sent(driver._epoch, number)
        sent_us, nothing = driver.state.t_client_us, np.empty(0, np.float32)
        data = Command(Mode.NEUTRAL, False, driver._epoch, number + 1, 0, sent_us, nothing, before).encode()
        driver._sent[driver._epoch] += digest_of(data)
        await driver._socket.send([data[:7], data[7:]])
        while (await driver.next_state()).applied <= number:
            pass
        assert driver.state.applied == number + 1
