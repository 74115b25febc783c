"""A whole hub on a real socket, whose chain is a dictionary, with a private and a public episode, and data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import httpx
import msgspec
from sqlalchemy.orm import Session, sessionmaker

from armshare.platform.hands import Hands
from armshare.platform.hub import files_of, make_app
from armshare.settings import Settings
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, TrustClass
from recorder.proof.manifest import EPISODE_FILE
from rewards.chain.chain import Chain
from rewards.chain.vault import Deployment
from rewards.datasets.exporting import Order, Said
from rewards.datasets.release import FILES, INDEX, File, Index
from rewards.hub.exports import archives, releasing
from rewards.hub.jobs import JobState
from rewards.tables import JobRow, ReleaseRow, ScoreRow, SearchedRow
from teleop.clock import now_ms
from teleop.hub.db import open_database, open_engine
from teleop.hub.tables import Account, RobotRow, Token
from tests.recorder.bundles import good_bundle
from tests.recorder.factory import DOMAIN, MALLORY, ROBOT, WALLET, fixed_key
from tests.recorder.filming import head
from tests.rewards.world import DictVault
from tests.teleop.served import served

WALLETS: Final = {
    "ada": WALLET.address,
    "owner": fixed_key("owner").address,
    "lab": fixed_key("lab").address,
    "student": fixed_key("student").address,
    "mallory": MALLORY.address,
}
"""Who drove, whose robot it is, whom its owner lets read it, whom a data set of the lab's lets read it; a stranger."""
SET: Final = "lab/kitchen"
JOB: Final = "e" * 32
DESCRIBED: Final = {"title": "t", "licence": "CC-BY-4.0"}


@dataclass(frozen=True)
class PrivateHouse:
    """A hub with a private episode and data sets."""

    client: httpx.Client
    url: str
    data: Path
    database: sessionmaker[Session]

    def ask(self, method: str, path: str, who: str = "", body: Any = None) -> httpx.Response:
        """Ask, signed in as somebody or, without a name, as nobody."""
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return self.client.request(method, path, json=body, headers=headers)

    def code(self, method: str, path: str, who: str = "", body: Any = None) -> tuple[int, str]:
        """Return the status and the code of a refusal."""
        answer = self.ask(method, path, who, body)
        return answer.status_code, answer.json()["error"]["code"]


@contextmanager
def opened(folder: Path) -> Iterator[PrivateHouse]:
    """Open such a hub below a folder."""
    settings = Settings(data=folder / "data", settle_every_s=0.0, qualification=False)
    deployment = Deployment(DOMAIN.chain_id, DOMAIN.vault, DOMAIN.vault, 0)
    with ThreadPoolExecutor(2) as executor:
        hands = Hands(executor, executor, executor, executor, 2)
        app = make_app(settings, cast("Chain", DictVault()), deployment, hands)
        engine = open_engine(settings.database_url)
        database = open_database(engine)
        _people(database)
        for number, private in enumerate((True, False)):
            bundle = good_bundle(
                folder / "bundles", episode=f"e{number}", steps=40, simulated=False, cameras=(head(),), seed=number
            )
            _keep(settings, database, bundle, private=private, number=number)
        with served(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            house = PrivateHouse(client, str(client.base_url), settings.data, database)
            _sets(house)
            _given_out(settings, house)
            yield house
        engine.dispose()


def _people(database: sessionmaker[Session]) -> None:
    """Sign everybody in, by their names as tokens, and register the robot."""
    with database() as db, db.begin():
        for name, address in WALLETS.items():
            db.add(Account(address=address, created_ms=1))
            db.flush()
            token = hashlib.sha256(name.encode()).hexdigest()
            db.add(Token(sha256=token, address=address, expires_ms=now_ms() + 10**9))
        robot = {"name": "arm", "model": "fake", "simulated": False, "signature": "0x"}
        db.add(RobotRow(address=ROBOT.address, owner=WALLETS["owner"], created_ms=1, **robot))


def _keep(settings: Settings, database: sessionmaker[Session], bundle: Path, *, private: bool, number: int) -> None:
    """Put a verified and scored episode into the store and the tables, as the intake does."""
    store = files_of(settings, database).private
    assert store is not None
    said = manifests.decode((bundle / MANIFEST_FILE).read_bytes())
    digest = manifests.digest(said, (bundle / MANIFEST_FILE).read_bytes(), DOMAIN)
    for path in bundle.iterdir():
        if path.name != EPISODE_FILE:
            store.write(bundle.name, path.name, path.read_bytes())
        elif private:
            store.adopt_private(bundle.name, digest, path)
        else:
            store.adopt(bundle.name, EPISODE_FILE, path)
    row = EpisodeRow(
        episode=bundle.name,
        state=EpisodeState.VERIFIED,
        robot=ROBOT.address,
        operator=WALLET.address,
        task="lift",
        model="fake",
        duration_ms=2000,
        steps=said.steps,
        success=True,
        valid=True,
        digest=digest,
        sha256=said.files[0].sha256,
        size=said.files[0].size,
        manifest=(bundle / MANIFEST_FILE).read_text(),
        log_index=number,
        created_ms=number,
        trust=TrustClass.WITNESSED,
        private=private,
    )
    score = ScoreRow(
        episode=bundle.name,
        version="3",
        score_ppm=800_000,
        accepted=True,
        vector={"pace": 0.5},
        reasons=["the hand stood still"],
        refused=[],
        costs=[],
        shown={"pace_s": 2.0},
        segments=[],
        task="lift",
        operator=WALLET.address,
        price_wei=0,
        pay_wei=0,
        scored_ms=1,
    )
    with database() as db, db.begin():
        db.add(row)
        db.flush()
        db.add(score)
        found = db.get_one(SearchedRow, bundle.name)
        found.score_ppm, found.rules, found.accepted, found.pace_ppm = 800_000, "3", True, 500_000


def _sets(house: PrivateHouse) -> None:
    """Let the lab read, and make data sets: the lab's has both episodes."""
    robot = f"/api/robots/{ROBOT.address}/privacy"
    said = {"private": True, "readers": [WALLETS["lab"]]}
    assert house.ask("PUT", robot, "owner", said).status_code == 200
    for who, name, episodes in (("lab", SET, ["e0", "e1"]), ("mallory", "mallory/own", ["e1"])):
        made = house.ask("POST", "/api/sets", who, {"name": name, "episodes": episodes, **DESCRIBED})
        assert made.status_code == 201, made.text
    named = house.ask("PUT", f"/api/sets/{SET}/readers", "lab", {"readers": [WALLETS["student"]]})
    assert named.json()["readers"] == [WALLETS["student"]]


def _given_out(settings: Settings, house: PrivateHouse) -> None:
    """Write what a release and an export of the lab's set leave, without the work that makes them."""
    digest = house.ask("GET", f"/api/sets/{SET}/versions/1").json()["digest"]
    data, request = b"pictures", {"name": SET, "version": 1, "digest": digest, "format": "lerobot"}
    request["order"] = msgspec.to_builtins(Order("joint_position"))
    folder = settings.data / "released" / digest
    (folder / FILES).mkdir(parents=True)
    (folder / FILES / "film.mp4").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    said = Said("2 episodes", "", "")
    index = Index(SET, 1, digest, "v3.0", said, (File("film.mp4", len(data), sha256, "0" * 40),))
    (folder / INDEX).write_bytes(msgspec.json.encode(index))
    (settings.data / "exports" / f"{JOB}.tar").write_bytes(data)
    result = {"name": "kitchen-1", "written": "", "fits": "", "judged": "", "bytes": len(data), "sha256": sha256}
    row: dict[str, Any] = {"wallet": WALLETS["lab"], "state": JobState.DONE, "what": "", "total": 2, "tries": 1}
    row |= {"request": json.loads(json.dumps(request)), "result": result, "bytes": len(data), "created_ms": 1}
    row |= {"done": 2, "used_ms": now_ms(), "ended_ms": 2}
    with house.database() as db, db.begin():
        db.add(JobRow(id=JOB, kind=archives.KIND, **row))
        db.add(JobRow(id="f" * 32, kind=releasing.KIND, **row))
        db.flush()
        db.add(ReleaseRow(digest=digest, name=SET, version=1, job="f" * 32, bytes=len(data), released_ms=1))
