"""The whole path without a person: a scripted operator drives, a researcher downloads, and every stage is checked."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from armshare.client import message_of
from armshare.failures import DemoError
from armshare.operator.drive import drive_once
from armshare.operator.handing import Episode, HandIn, Progress, contribute
from recorder.export.demonstrations import demonstrations
from recorder.export.robomimic import export
from recorder.proof.case import Trust
from recorder.proof.replayed import replayed
from recorder.proof.verify import verify_bundle
from rewards.ledger.settle import rebuild_root
from teleop.identity import Domain, new_key
from teleop.operator.driver import Driver
from teleop.operator.first_drive import FirstDrive

_BUNDLE = ("episode.h5", "manifest.json", "signatures.json", "receipt.json")
_WAIT_S = 20


@dataclass(slots=True)
class Outcome:
    """What the demo shows; amounts in the token's smallest unit."""

    practice: Episode | None = None
    """The first drive of the new wallet, unpaid; None if the platform requires none."""
    episodes: list[Episode] = field(default_factory=list)
    root: str = ""
    claim_transaction: str = ""
    balance: str = ""
    export: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


async def demo(url: str, admin_token: str, count: int, folder: Path, progress: Progress) -> Outcome:
    """Drive `count` episodes at `url`, and follow them to their pay and their download; raise DemoError."""
    outcome = Outcome()
    async with Driver(url, new_key()) as driver:
        robot = await _free_robot(driver)
        progress(f"signing in and taking {robot['name']}")
        await driver.join(robot["robot"], "lift")
        await _qualify(driver, robot["robot"], outcome, progress)
        async with HandIn(driver, robot["robot"], outcome.episodes) as handing:
            for number in range(1, count + 1):
                progress(f"episode {number}: driving")
                ended = await drive_once(driver, robot["robot"])
                progress(f"episode {number}: signing, verifying, replaying, scoring")
                handing.add(ended)
                await handing.wait(most=1)
            await driver.leave()
        progress("settling in one Merkle root")
        await _settle(driver, admin_token, outcome)
        progress("claiming")
        await _claim(driver, outcome)
        progress("downloading and exporting, as a researcher")
        await _download(driver, outcome, folder)
    return outcome


async def _free_robot(driver: Driver) -> dict[str, Any]:
    for _ in range(_WAIT_S * 10):
        for robot in await driver.call("GET", "/api/robots"):
            if robot["state"] == "free" and robot["simulated"] and robot["tasks"]:
                return dict(robot)
        await asyncio.sleep(0.1)
    raise DemoError(f"No robot became free within {_WAIT_S} s. Is a host running?")


async def _qualify(driver: Driver, robot: str, outcome: Outcome, progress: Progress) -> None:
    """Drive the practice episode, if this platform pays nobody before it."""
    known = f"/api/operators/{driver.wallet.address}"
    if (await driver.call("GET", known))["qualified"]:
        return
    progress("practice: the first drive, which is not paid")
    ended = await drive_once(driver, robot, FirstDrive)
    outcome.practice = await contribute(driver, ended, robot)
    if outcome.practice.missing or not (await driver.call("GET", known))["qualified"]:
        raise DemoError(f"The first drive did not qualify its wallet: {' '.join(outcome.practice.missing)}")


async def _settle(driver: Driver, admin_token: str, outcome: Outcome) -> None:
    answer = await driver.http.post("/api/settle", headers={"Authorization": f"Bearer {admin_token}"})
    if answer.is_error:
        raise DemoError(f"What was earned could not be settled: {message_of(answer)}")
    outcome.root = answer.json()["root"]
    published = await driver.http.get(f"/api/roots/{outcome.root}")
    if "0x" + rebuild_root(published.content).hex() != outcome.root:
        raise DemoError(f"The published JSON does not rebuild the root {outcome.root}.")


async def _claim(driver: Driver, outcome: Outcome) -> None:
    expected = sum(int(one.pay) for one in outcome.episodes)
    claimed = await driver.call("POST", "/api/claim")
    outcome.claim_transaction = claimed["transaction"]
    balance = await driver.call("GET", f"/api/balances/{driver.wallet.address}")
    outcome.balance = balance["wallet"]
    if int(outcome.balance) != expected or int(balance["claimed"]) != expected:
        raise DemoError(f"{expected} should be in the wallet, and the chain says {outcome.balance}.")


async def _download(driver: Driver, outcome: Outcome, folder: Path) -> None:
    """List and fetch as a stranger would, verify offline, and export."""
    page = await driver.call("GET", f"/api/episodes?operator={driver.wallet.address}&state=verified&limit=200")
    listed = {one["episode"] for one in page["episodes"]}
    driven = [*([outcome.practice] if outcome.practice else []), *outcome.episodes]
    if listed != {one.episode for one in driven}:
        raise DemoError(f"{len(driven)} episodes were driven, and the hub lists {len(listed)}.")
    trust = Trust(
        Domain(driver.config["chain_id"], driver.config["vault"]),
        replay=replayed,
        hub=driver.config["hub"],
        log_key=driver.config["log_public_key"],
    )
    bundles = [folder / "episodes" / one.episode for one in outcome.episodes]
    for bundle in bundles:
        bundle.mkdir(parents=True)
        for name in _BUNDLE:
            answer = await driver.http.get(f"/api/episodes/{bundle.name}/files/{name}")
            (bundle / name).write_bytes(answer.raise_for_status().content)
        await asyncio.to_thread(verify_bundle, bundle, trust)
    target = folder / "lift.hdf5"
    await asyncio.to_thread(lambda: export(demonstrations(bundles, trust=trust), target))
    outcome.export = str(target)
