"""The rows of a year, table by table, some thousand episodes at a time: what each episode leaves in a hub's database.

Everything is as long as the real thing and does not compress better: a manifest as a host writes it, a receipt with its
proof, the paths of the motion, two postings of pay. The log, the ledger and the payout roots are sound, so that the
real code can prove, settle and audit them; signatures are noise.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np

from benchmarks.scaling.year import (
    BEGAN_MS,
    DAY_MS,
    DRIVERS,
    MODELS,
    PRICE_WEI,
    STATES,
    TASKS,
    Year,
    address,
    episode,
    noise,
)
from recorder.hub import motions
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.checks.paths import POINTS
from recorder.proof.log import merkle
from rewards.ledger.ledger import episode_pay, transfer
from rewards.ledger.settle import build_tree
from sim.catalogue import make_world
from teleop.wire.descriptor import describe

Batch = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]
"""A table's name, some of its columns, and rows of them."""
AT_ONCE: Final = 5000
CHAIN_ID: Final = 31337
VAULT: Final = address("vault", 0)
_V3: Final = ("object_path", "order", "pace", "flow", "control")
_V2: Final = ("path_efficiency", "smoothness", "idle", "tracking")
_PARTS: Final = ("success", *_V3, *_V2)
_COSTS: Final = json.dumps(
    [
        {
            "part": part,
            "ppm": 40_000,
            "sentence": "You let go of the cube and took it up again; close the gripper before you lift.",
            "from_s": 3.2,
            "until_s": 5.1,
        }
        for part in ("object_path", "pace")
    ]
)
_SEGMENTS: Final = json.dumps([{"kind": "idle", "from_s": 1.0, "until_s": 2.0}] * 3)
_SHOWN: Final = json.dumps({"duration_s": 12.3, "path_m": 1.9, "jerk": 3.1, "idle_s": 0.7, "clutched": 0.0})
_DESCRIPTIONS: Final = 3
_JOINTS: Final = np.random.default_rng(7).normal(size=(9, 7))


class Rows:
    """Makes them. The ledger's balances and the log's tree are carried from batch to batch."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._random = np.random.default_rng(2)
        self._places = self._random.normal(0.0, 0.25, (len(TASKS), 9))
        self._balance: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        """Of each account: its balance, and how many postings it has."""
        self._transactions = self._postings = 0
        self._nodes: dict[tuple[int, int], bytes] = {}
        """The last node of each level that waits for its brother."""
        self._settled: dict[str, int] = {}
        self._roots = 0

    def first(self) -> Iterator[Batch]:
        """Yield what is there before the first episode."""
        year = self._year
        yield "accounts", ("address", "created_ms"), [(who, BEGAN_MS) for who in year.operators]
        tokens = [(noise("token", at), who, BEGAN_MS + 400 * DAY_MS) for at, who in enumerate(year.operators)]
        yield "tokens", ("sha256", "address", "expires_ms"), tokens
        names = ("address", "owner", "name", "model", "simulated", "signature", "robot_signature", "nonce", "issued_ms")
        robots = [self._robot(at) for at in range(len(year.robots))]
        yield "robots", (*names, "descriptor", "epoch", "created_ms"), robots
        described = [(noise("description", at), _described(at)) for at in range(len(year.robots) * _DESCRIPTIONS)]
        yield "descriptions", ("sha256", "described"), described
        yield from self._funded()

    def episodes(self) -> Iterator[Batch]:
        """Yield what the episodes leave, in the order in which they came."""
        for start in range(0, self._year.count, AT_ONCE):
            some = range(start, min(start + AT_ONCE, self._year.count))
            yield from self._driven(some)
            yield self._taken_in(some)
            yield from self._known(some)
            yield from self._logged(some)
            yield from self._scored(some)
            yield from self._paid(some)

    def last(self) -> Iterator[Batch]:
        """Yield what can be said once everything is there."""
        yield "log_head", ("log", "size"), [(0, int(self._year.log_index[-1]) + 1)]

    def _robot(self, at: int) -> tuple[Any, ...]:
        year = self._year
        who, owner = year.robots[at], address("owner", at // 3)
        signatures = "0x" + noise("owner's", at, 64) + "1b", "0x" + noise("robot's", at, 64) + "1b"
        said = who, owner, f"robot-{at}", MODELS[at % len(MODELS)], at % 8 != 1, *signatures, "0x" + noise("n", at)
        return (*said, BEGAN_MS, _described(at), 1000, BEGAN_MS)

    def _driven(self, some: range) -> Iterator[Batch]:
        """The leases and the tickets."""
        year = self._year
        leases = range(int(year.lease[some[0]]), int(year.lease[some[-1]]) + 1)
        fresh = [one for one in leases if year.first_of(one) in some]
        names = ("lease", "robot", "operator", "epoch", "grant", "signature", "started_ms", "ended_ms", "reason")
        yield "leases", names, [self._lease(one) for one in fresh]
        names = ("episode", "lease", "robot", "operator", "task", "seed", "nonce", "issued_ms", "model", "simulated")
        names += (
            "description",
            "protocol",
            "price_wei",
            "driver",
            "rules",
            "ready_ms",
            "finish_ms",
            "ended_ms",
            "ended",
        )
        yield "tickets", names, [self._ticket(at) for at in some]

    def _lease(self, one: int) -> tuple[Any, ...]:
        year, at = self._year, self._year.first_of(one)
        robot, operator, began = (
            year.robots[year.robot[at]],
            year.operators[year.operator[at]],
            int(year.created_ms[at]),
        )
        grant = {
            "operator": operator,
            "sessionKey": address_like("session", one),
            "robot": robot,
            "task": TASKS[year.task[at]],
            "nonce": "0x" + noise("grant", one),
            "notAfterMs": began + 3_600_000,
        }
        said = (
            noise("lease", one, 16),
            robot,
            operator,
            one + 1,
            json.dumps(grant),
            "0x" + noise("granted", one, 64) + "1b",
        )
        return (*said, began, began + 600_000, "released")

    def _ticket(self, at: int) -> tuple[Any, ...]:
        year, began = self._year, int(self._year.created_ms[at])
        robot = int(year.robot[at])
        driver = json.dumps({"kind": list(DRIVERS)[year.driver[at]], "name": "", "sha256": ""})
        ended = json.dumps(
            {"kept": True, "steps": 300, "success": bool(year.success[at]), "valid": True, "reason": "finished"}
        )
        said = (
            episode(at),
            noise("lease", int(year.lease[at]), 16),
            year.robots[robot],
            year.operators[year.operator[at]],
        )
        seed = int(noise("seed", at, 5), 16)
        asked = (
            TASKS[year.task[at]],
            seed,
            "0x" + noise("ticket", at),
            began,
            MODELS[year.model[at]],
            bool(year.simulated[at]),
        )
        described = noise("description", robot * _DESCRIPTIONS + int(year.task[at]) % _DESCRIPTIONS)
        heard = began + 1000, began + int(year.duration_ms[at]), began + int(year.duration_ms[at]) + 500, ended
        return (*said, *asked, described, 8, str(PRICE_WEI), driver, "2" if year.older[at] else "3", *heard)

    def _taken_in(self, some: range) -> Batch:
        names = (
            "episode",
            "state",
            "robot",
            "operator",
            "task",
            "driver_kind",
            "driver_name",
            "driver_sha256",
            "model",
        )
        names += ("duration_ms", "steps", "success", "valid", "reason", "digest", "content_root", "verified_root")
        names += ("previous", "sha256", "size", "manifest", "robot_signature", "operator_signature", "receipt")
        names += ("log_index", "created_ms", "tries", "sealed_ms", "erased_ms", "trust")
        return "episodes", names, [self._episode(at) for at in some]

    def _episode(self, at: int) -> tuple[Any, ...]:
        year = self._year
        state, verified, created = list(STATES)[year.state[at]], bool(year.verified[at]), int(year.created_ms[at])
        robot, operator = year.robots[year.robot[at]], year.operators[year.operator[at]]
        gone = state in ("rejected", "discarded") and created < BEGAN_MS + 335 * DAY_MS
        index = int(year.log_index[at]) if verified else None
        root, digest = "0x" + noise("root", at), "0x" + noise("digest", at)
        said = episode(at), state, robot, operator, TASKS[year.task[at]], list(DRIVERS)[year.driver[at]], "", ""
        ended = (
            MODELS[year.model[at]],
            int(year.duration_ms[at]),
            int(year.duration_ms[at]) // 33,
            bool(year.success[at]),
        )
        hashes = digest, root, root if verified else None, "0x" + noise("digest", at - 1), noise("file", at)
        size = None if gone else 200_000 + 40 * int(year.duration_ms[at])
        signed = "0x" + noise("by robot", at, 64) + "1b", "0x" + noise("by operator", at, 64) + "1b"
        receipt = None if index is None else _receipt(at, index, digest, created)
        trust = None if not verified else "replayed" if year.simulated[at] else "witnessed"
        text = _manifest(at, robot, operator, TASKS[year.task[at]])
        until = created + int(year.duration_ms[at]) + 5000
        kept = until, created + DAY_MS if gone else None, trust
        return (*said, *ended, True, "finished", *hashes, size, text, *signed, receipt, index, created, 0, *kept)

    def _known(self, some: range) -> Iterator[Batch]:
        """The motions."""
        year = self._year
        verified = [at for at in some if year.verified[at]]
        kept = [(episode(at), noise("motion", at) if year.success[at] else None) for at in verified]
        yield "motions", ("episode", "digest"), kept
        names = ("episode", "kind", "width", "cell_0", "cell_1", "cell_2", "cell_3", "points", "world")
        yield "motion_paths", names, list(self._paths(verified))

    def _paths(self, verified: list[int]) -> Iterator[tuple[Any, ...]]:
        """Yield two paths of each: ways to where its task is, each to a place and by a way of its own."""
        year, count = self._year, len(verified)
        at = np.linspace(0.0, 1.0, POINTS)[None, :, None]
        ends = self._places[year.task[verified]] + self._random.normal(0.0, 0.12, (count, 9))
        bows = self._random.normal(0.0, 0.05, (count, 9))
        hands = at * ends[:, None, :] + np.sin(np.pi * at) * bows[:, None, :] + 0.1
        for kind, values in (("hands", hands / np.sqrt(3 * POINTS)), ("joints", hands @ _JOINTS / np.sqrt(POINTS))):
            width = values.shape[2]
            for number, points in zip(verified, values.astype("<f4"), strict=True):
                path = MotionPath(kind, width, points.tobytes())
                world = bytes.fromhex(noise("world", number, 36)) if year.simulated[number] else None
                yield episode(number), kind, width, *motions.cells_of(path), path.values, world

    def _logged(self, some: range) -> Iterator[Batch]:
        """The log: entries, and the hash of every whole subtree."""
        year = self._year
        entries, nodes = [], []
        for at in some:
            if not year.verified[at]:
                continue
            index, entry = int(year.log_index[at]), bytes.fromhex(noise("digest", at))
            entries.append((index, episode(at), entry, int(year.created_ms[at])))
            level, found = 0, merkle.leaf_hash(entry)
            nodes.append((0, index, found))
            while index & 1:
                found = merkle.node_hash(self._nodes.pop((level, index - 1)), found)
                level, index = level + 1, index >> 1
                nodes.append((level, index, found))
            self._nodes[level, index] = found
        yield "log_entries", ("log_index", "episode", "entry", "created_ms"), entries
        yield "log_nodes", ("level", "node_index", "hash"), nodes

    def _scored(self, some: range) -> Iterator[Batch]:
        """The scores, where things stood, practice, and what is searched."""
        year = self._year
        verified = [at for at in some if year.verified[at]]
        names = ("episode", "version", "score_ppm", "accepted", "vector", "reasons", "task", "operator", "price_wei")
        names += ("pay_wei", "scored_ms", "costs", "refused", "shown", "segments", "adds_wei", "rescored")
        yield "scores", names, [self._score(at) for at in verified]
        names = ("episode", "task", "task_version", "model", "simulated", "operator", "cell", "things_m", "duration_s")
        yield "starts", (*names, "version", "accepted", "score_ppm"), [self._start(at) for at in verified]
        checks = json.dumps([{"name": "finishes", "passed": True, "reason": "It was finished."}] * 5)
        practised = [
            (episode(at), year.operators[year.operator[at]], True, checks, int(year.created_ms[at]))
            for at in verified
            if year.practice[at]
        ]
        yield "practices", ("episode", "operator", "passed", "checks", "checked_ms"), practised
        names = ("episode", "state", "robot", "operator", "task", "model", "driver_kind", "trust", "success")
        names += ("created_ms", "duration_ms", "practice", "rules", "score_ppm", "accepted")
        yield "searched", (*names, *(f"{part}_ppm" for part in _PARTS)), [self._searched(at) for at in some]
        gone = [
            (episode(at), year.operators[year.operator[at]], "I do not want it used any more", int(year.created_ms[at]))
            for at in verified
            if year.withdrawn[at]
        ]
        yield "withdrawals", ("episode", "operator", "reason", "withdrawn_ms"), gone

    def _vector(self, at: int) -> dict[str, float]:
        parts = _V2 if self._year.older[at] else _V3
        found = (round(float(value), 6) for value in self._year.part[at])
        return {"success": float(self._year.success[at]), **dict(zip(parts, found, strict=False))}

    def _score(self, at: int) -> tuple[Any, ...]:
        year, pay = self._year, str(self._year.pay_wei(at))
        said = episode(at), "2" if year.older[at] else "3", int(year.score_ppm[at]), bool(year.success[at])
        who = TASKS[year.task[at]], year.operators[year.operator[at]], str(PRICE_WEI), pay, int(year.created_ms[at])
        return (*said, json.dumps(self._vector(at)), "[]", *who, _COSTS, "[]", _SHOWN, _SEGMENTS, pay, False)

    def _start(self, at: int) -> tuple[Any, ...]:
        year = self._year
        things = [
            round(int(noise("x", at, 2), 16) / 65535 * 0.4 + 0.3, 4),
            round(int(noise("y", at, 2), 16) / 65535 * 0.5 - 0.25, 4),
            0.02,
        ]
        cell = f"{int(things[0] / 0.05)} {int(things[1] / 0.05)}"
        said = episode(at), TASKS[year.task[at]], 1, MODELS[year.model[at]], bool(year.simulated[at])
        rest = year.operators[year.operator[at]], cell, json.dumps(things), float(year.duration_ms[at]) / 1000
        return (*said, *rest, "2" if year.older[at] else "3", bool(year.success[at]), int(year.score_ppm[at]))

    def _searched(self, at: int) -> tuple[Any, ...]:
        year, verified = self._year, bool(self._year.verified[at])
        trust = None if not verified else "replayed" if year.simulated[at] else "witnessed"
        said = episode(at), list(STATES)[year.state[at]], year.robots[year.robot[at]], year.operators[year.operator[at]]
        what = (
            TASKS[year.task[at]],
            MODELS[year.model[at]],
            list(DRIVERS)[year.driver[at]],
            trust,
            bool(year.success[at]),
        )
        when = int(year.created_ms[at]), int(year.duration_ms[at]), bool(year.practice[at])
        if not verified:
            return (*said, *what, *when, *(None,) * (3 + len(_PARTS)))
        vector = self._vector(at)
        parts = (None if part not in vector else round(1e6 * vector[part]) for part in _PARTS)
        judged = "2" if year.older[at] else "3", int(year.score_ppm[at]), bool(year.success[at])
        return (*said, *what, *when, *judged, *parts)

    def _funded(self) -> Iterator[Batch]:
        """The pools, filled for the whole year."""
        rows = [
            self._booked(transfer(f"deposit:first:{task}", "deposit", "vault", f"pool:{task}", 10**30, BEGAN_MS))
            for task in TASKS
        ]
        yield from self._ledger(rows)

    def _paid(self, some: range) -> Iterator[Batch]:
        """The ledger, and at midnight a payout root."""
        year, rows, roots, leaves = self._year, [], [], []
        for at in some:
            if at and year.day(at) != year.day(at - 1):
                self._settle(at, roots, leaves)
            if wei := year.pay_wei(at):
                who, task = year.operators[year.operator[at]], TASKS[year.task[at]]
                rows.append(self._booked(episode_pay(episode(at), task, who, wei, int(year.created_ms[at]))))
        yield from self._ledger(rows)
        names = (
            "position",
            "root",
            "total_wei",
            "payees",
            "log_size",
            "log_hash",
            "state",
            "chain_index",
            "transaction",
        )
        yield "payout_roots", (*names, "created_ms"), roots
        yield "payout_leaves", ("address", "position", "cumulative_wei"), leaves

    def _settle(self, at: int, roots: list[tuple[Any, ...]], leaves: list[tuple[Any, ...]]) -> None:
        earned = {
            name.removeprefix("operator:"): wei
            for name, (wei, _) in self._balance.items()
            if wei and name.startswith("operator:")
        }
        raised = {who: wei for who, wei in earned.items() if self._settled.get(who) != wei}
        if not raised:
            return
        self._roots += 1
        last = self._roots >= self._year.day(self._year.count - 1) - 1
        root = build_tree(CHAIN_ID, VAULT, earned).root.hex() if last else noise("payout root", self._roots)
        log = int(self._year.log_index[at - 1]) + 1, "0x" + noise("log", self._roots)
        said = self._roots, "0x" + root, str(sum(earned.values())), len(earned), *log, "final", self._roots - 1
        roots.append((*said, "0x" + noise("transaction", self._roots), int(self._year.created_ms[at])))
        leaves.extend((who, self._roots, str(wei)) for who, wei in raised.items())
        self._settled = earned

    def _booked(self, one: Any) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        self._transactions += 1
        head = self._transactions, one.key, one.kind, one.episode, one.time_ms, one.content_sha256
        postings = []
        for posting in one.postings:
            balance, sequence = self._balance[posting.account]
            balance, sequence = balance + posting.amount_wei, sequence + 1
            self._balance[posting.account] = balance, sequence
            self._postings += 1
            said = self._postings, self._transactions, posting.account, sequence, str(posting.amount_wei)
            postings.append((*said, str(balance)))
        return head, postings

    @staticmethod
    def _ledger(rows: list[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]) -> Iterator[Batch]:
        names = ("id", "key", "kind", "episode", "time_ms", "content_sha256")
        yield "ledger_transactions", names, [head for head, _ in rows]
        names = ("id", "transaction_id", "account", "sequence", "amount_wei", "balance_wei")
        yield "ledger_postings", names, [one for _, some in rows for one in some]


def address_like(kind: str, at: int) -> str:
    """Return what is as long as an address."""
    return "0x" + noise(kind, at, 20)


def _described(at: int) -> str:
    """Return a robot's descriptor, as its host sends it."""
    return _descriptors()[at % len(MODELS)]


@cache
def _descriptors() -> list[str]:
    return [json.dumps(describe(model, make_world(model, "lift").spec)) for model in MODELS]


def _manifest(at: int, robot: str, operator: str, task: str) -> str:
    links = [{"epoch": 1, "seq": 60 * one, "sha256": noise("link", 8 * at + one)} for one in range(6)]
    said = {
        "commands": links,
        "content_root": "0x" + noise("root", at),
        "control_hz": 20,
        "driver": {"kind": "person", "name": "", "sha256": ""},
        "engine": {"armshare": "0.1.0", "bullet": "325", "numpy": "2.3.1", "python": "3.11", "machine": "x86_64"},
        "episode": episode(at),
        "files": [{"name": "episode.h5", "sha256": noise("file", at), "size": 400_000}],
        "format": "armshare-episode",
        "grant": {
            "signature": "0x" + noise("granted", at // 4, 64) + "1b",
            "values": {"nonce": "0x" + noise("grant", at // 4), "operator": operator, "robot": robot, "task": task},
        },
        "meta_sha256": noise("meta", at),
        "nonce": "0x" + noise("ticket", at),
        "operator": {"address": operator, "session_key": address_like("session", at // 4)},
        "previous": "0x" + noise("digest", at - 1),
        "robot": {"address": robot, "urdf_sha256": {f"{n}.obj": noise("mesh", n) for n in range(6)}},
        "task": {"instruction": f"Do {task}.", "name": task, "version": 1},
        "version": 2,
    }
    return json.dumps(said, separators=(",", ":"))


def _receipt(at: int, index: int, digest: str, created: int) -> str:
    """Return a receipt: its proof has as many hashes as that of the newest leaf of a tree."""
    proof = ["0x" + noise("proof", 64 * at + one) for one in range(index.bit_count())]
    return json.dumps(
        {
            "checkpoint": f"armshare/log\n{index + 1}\n{noise('tree', at, 22)}\n\n- {noise('signed', at, 46)}\n",
            "digest": digest,
            "episode": episode(at),
            "hub": address("hub", 0),
            "inclusion": proof,
            "log_index": index,
            "log_origin": "armshare/log",
            "received_ms": str(created),
            "signature": "0x" + noise("receipt", at, 64) + "1b",
            "trust": "replayed",
        }
    )
