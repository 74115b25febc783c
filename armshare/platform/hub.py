"""The hub, put together: one FastAPI application of all packages, with the chain that it settles on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from eth_account.signers.local import LocalAccount
from fastapi import FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from armshare.failures import PlatformError
from armshare.migrations import migrate
from armshare.platform import upkeep
from armshare.platform.built import FOLDER, is_built
from armshare.platform.cluster import Keys, Placed, cluster_of, present, wait_for_end, wake_elsewhere
from armshare.platform.hands import Hands
from armshare.platform.page import Page, no_page
from armshare.platform.private import EPISODES_KEY, private_in
from armshare.platform.sub_path import SubPath
from armshare.settings import Settings
from recorder.hub.api import body_bytes_max
from recorder.hub.api import make_router as recorder_router
from recorder.hub.catalogue import Catalogue
from recorder.hub.erasing import DAY_MS, Erasing
from recorder.hub.intake import Intake
from recorder.hub.log import Log
from recorder.hub.previews.kept import Kept
from recorder.hub.previews.line import Previews
from recorder.hub.records import Records
from recorder.hub.store import StoreLostError
from recorder.hub.store.bundles import stored_bundle
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.store.opening import Opened, Sealing, in_bucket, in_folder, sealing
from recorder.hub.uploads import Uploads
from recorder.proof import case
from recorder.proof.asked import Asked, Live, SaidEnd
from recorder.proof.log.checkpoint import load_log_key
from recorder.proof.replayed import kept_from, replayed
from recorder.proof.unable import WORDS
from rewards.chain.anvil import EmbeddedChain
from rewards.chain.chain import Chain
from rewards.chain.payouts import Payouts
from rewards.chain.vault import ARM, Deployment, DeploymentError, VaultTerms
from rewards.hub.api import router as rewards_router
from rewards.hub.bundles import router as bundles_router
from rewards.hub.datasets.api import body_bytes_max as sets_bytes_max
from rewards.hub.datasets.api import router as sets_router
from rewards.hub.datasets.cards import Cards
from rewards.hub.datasets.changes import Changes
from rewards.hub.datasets.consent import Consent
from rewards.hub.datasets.described import router as described_router
from rewards.hub.datasets.reading import SetReaders
from rewards.hub.datasets.sets import of_dataset
from rewards.hub.exports.archives import Bounds
from rewards.hub.exports.giving import Giving, Places
from rewards.hub.exports.shelved import ShelvedVersions
from rewards.hub.pipeline import Pipeline
from rewards.hub.reviews.api import router as reviews_router
from rewards.hub.reviews.store import Reviews
from rewards.hub.search import Search
from rewards.hub.search_api import router as search_router
from rewards.score.versions import NEWEST as SCORE_VERSION
from teleop.clock import now_ms
from teleop.hub import errors
from teleop.hub.accounts import Accounts
from teleop.hub.api import router as teleop_router
from teleop.hub.db import Database, open_database, open_engine
from teleop.hub.driving import Driving
from teleop.hub.hub import Hub
from teleop.hub.robots.checkable import Unchecked
from teleop.hub.robots.registry import HUB_LOST, Registry, UnknownRobotAddressError
from teleop.hub.server.bodies import BodyLimit
from teleop.hub.server.encoded import EncodedCache
from teleop.hub.tables import LeaseRow, TicketRow
from teleop.identity import kept_secret, load_key
from teleop.wire.driver import Driver, DriverKind
from teleop.wire.messages import PROTOCOL
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
POOL_WEI: Final = 100_000 * ARM
"""What each task's pool is given, once, on the embedded chain."""
_FORMATS: Final = {2: 2}
"""A protocol -> the format of the episodes of a host that speaks it; those before it had format 1."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the recorder's routes ask: who is signed in, who uploads, and what the hub asked a robot for."""

    driving: Driving

    def operator(self, request: Request) -> str:
        """Return the signed-in wallet's address."""
        return self.driving.operator(request)

    def host(self, request: Request) -> str:
        """Return the robot whose upload token came."""
        return self.driving.host(request)

    def owner(self, robot: str) -> str | None:
        """Return the address of a robot's owner; None if it is not registered."""
        try:
            return self.driving.registry.robot(robot).owner
        except UnknownRobotAddressError:
            return None

    def ticket(self, episode: str) -> case.Ticket | None:
        """Return what the hub asked a robot for; None if it asked for no such episode."""
        heard = self.driving.hub.heard(episode)  # before the table: what is written is no longer in memory
        found = self.driving.registry.ticket(episode)
        if found is None:
            return None
        if heard is None and self.driving.cluster is not None:
            found = wait_for_end(self.driving.registry, self.driving.cluster, found)
        row = found.row
        asked = None
        if found.described is not None and row.model is not None and row.simulated is not None:
            lease, version = found.lease, _FORMATS.get(row.protocol or 1, 1)
            said = (row.model, row.simulated, found.described, lease.grant, lease.signature, row.issued_ms)
            asked = Asked(*said, version, _driver(row))
        live = None if row.price_wei is None else _live(heard.columns if heard else _written(row), found.lease)
        same = (row.episode, row.robot, row.operator, row.task, row.seed, row.nonce)
        return case.Ticket(*same, asked, live, row.rules, bool(row.private))


def _driver(row: TicketRow) -> Driver | None:
    """Return who or what drives, as the operator said; None for a ticket of an earlier release."""
    said = row.driver
    return None if said is None else Driver(DriverKind(said["kind"]), said["name"], said["sha256"])


def _written(row: TicketRow) -> dict[str, Any]:
    heard = {"ready_ms": row.ready_ms, "finish_ms": row.finish_ms, "said": row.said}
    return {**heard, "ended_ms": row.ended_ms, "ended": row.ended}


def _live(heard: Mapping[str, Any], lease: LeaseRow) -> Live:
    """Return what the hub heard while an episode was driven; a hub that crashed then does not know what it heard."""
    crashed = lease.reason == HUB_LOST and heard["finish_ms"] is None
    ended = heard["ended"]
    return Live(
        ready_ms=heard["ready_ms"],
        finished=None if crashed else heard["finish_ms"] is not None,
        said=heard["said"],
        ended_ms=heard["ended_ms"],
        ended=None if ended is None else SaidEnd(**{**ended, "reason": EndReason(ended["reason"])}),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a hub, in the order in which they are made."""

    settings: Settings
    key: LocalAccount
    admin_token: str
    deployment: Deployment
    chain: Chain
    engine: Engine
    database: Database
    hub: Hub
    driving: Driving
    log: Log
    files: Opened
    models: EncodedCache


def make_app(
    settings: Settings, chain: Chain, deployment: Deployment, hands: Hands, place: Placed | None = None
) -> FastAPI:
    """Return the application. The chain and the hands are the caller's to close.

    `place`: what it holds of its database; None if it is the only hub there.
    """
    place = place or Placed()
    parts = _parts(settings, chain, deployment, hands, place)
    catalogue = Catalogue(parts.database)
    records = Records(parts.database, parts.log, deployment.domain, parts.key, now_ms)
    uploads = Uploads(parts.files.pieces, parts.database, now_ms)
    pipeline = _pipeline(parts, hands, place)
    search = Search(parts.database, of_dataset)
    changes = Changes(parts.database, search.episodes)
    consent = Consent(parts.database, changes)
    cards = Cards(parts.database, parts.files.store, hands.long, mine=place.mine)
    signed_in = parts.driving.operator
    private = private_in(parts.database, signed_in, consent.ended)
    giving = _giving(parts, hands, place.mine, private.sets)
    erasing = Erasing(parts.database, parts.files.store, now_ms, round(settings.erase_after_days * DAY_MS))
    intake = Intake(
        records=records,
        store=parts.files.store,
        uploads=uploads,
        domain=deployment.domain,
        executor=hands.long,
        at_once=hands.count,
        replay=replayed,
        hand_on=pipeline.submit,
        turn=place.turn if place.name else None,
        private=parts.files.private,
    )
    cluster = parts.driving.cluster
    if cluster is not None:
        wake_elsewhere(cluster, intake, pipeline)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(parts.engine.dispose)
            stack.push_async_callback(asyncio.to_thread, parts.models.close)
            stack.enter_context(hands.working())
            await stack.enter_async_context(pipeline)
            await stack.enter_async_context(giving.jobs)
            await stack.enter_async_context(upkeep.expiring(parts.hub, uploads, erasing, giving.sweep, place.mine))
            await stack.enter_async_context(upkeep.checking(intake, access.ticket, place.mine))
            await stack.enter_async_context(upkeep.remembering(intake, place.mine))
            await stack.enter_async_context(upkeep.moving(parts.files, place.mine))
            await stack.enter_async_context(upkeep.keeping_sets(consent, cards, place.mine))
            await stack.enter_async_context(upkeep.renewing(giving.renew, place.mine))
            await stack.enter_async_context(present(cluster, place))
            yield

    app = FastAPI(title="armshare", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    errors.install(app)
    access = Access(parts.driving)
    app.add_middleware(BodyLimit, bytes_max=sets_bytes_max(body_bytes_max(access)))
    if settings.path:
        app.add_middleware(SubPath, path=settings.path)
    app.include_router(teleop_router(parts.driving))
    app.include_router(rewards_router(pipeline, catalogue, signed_in, parts.admin_token, private.readers))
    reviews = Reviews(
        parts.database, deployment.domain, qualification=settings.qualification, rules=settings.review_rules
    )
    app.include_router(reviews_router(reviews, signed_in))
    app.include_router(search_router(search, private.seen))
    app.include_router(bundles_router(catalogue, parts.files.store, pipeline.score_file, consent.ended, private.let))
    made, released = cards.wake, giving.releases.when
    app.include_router(
        sets_router(parts.database, changes, consent, signed_in, made=made, released=released, readers=private.sets)
    )
    app.include_router(described_router(parts.database, settings.url, signed_in))
    app.include_router(giving.router(signed_in))
    app.include_router(
        recorder_router(
            access=access,
            intake=intake,
            uploads=uploads,
            catalogue=catalogue,
            log=parts.log,
            database=parts.database,
            executor=hands.short,
            previews=Previews(Kept(settings.data / "previews"), hands.drawing),
            withdrawn=consent.ended_ms,
            readers=private.readers,
            private=parts.files.private,
        )
    )
    app.get("/api/config", response_model=ConfigAnswer)(lambda: _config(parts, giving.public_key))
    if is_built():
        app.mount("/", Page(FOLDER))
    else:
        app.add_route("/", no_page, include_in_schema=False)
    return app


async def _unchecked(worker: Executor, described: Mapping[str, Any]) -> dict[str, Unchecked]:
    """Return at which tasks of a simulated robot this hub could not replay what is driven, as a worker knows."""
    found = await asyncio.get_running_loop().run_in_executor(worker, kept_from, described)
    return {task: Unchecked(f"{error.reason}: {WORDS[error.reason]}", str(error)) for task, error in found.items()}


def _parts(settings: Settings, chain: Chain, deployment: Deployment, hands: Hands, place: Placed) -> Parts:
    key = load_key(settings.keys / "hub.key")
    engine = open_engine(settings.database_url)
    try:
        migrate(engine)
    except DatabaseError as error:
        engine.dispose()
        raise unusable(settings, error) from error
    database = open_database(engine)
    registry = Registry(
        database,
        deployment.domain,
        prices=settings.prices,
        rules=SCORE_VERSION,
        shares=settings.shares,
        hub=place.name,
    )
    hub = Hub(
        registry,
        deployment.domain,
        settings.lease_s,
        away_s=settings.away_s,
        checkable=partial(_unchecked, hands.here),
        several=place.name is not None,
        watchable=registry.privacy.lets_watch,
    )
    log = Log(load_log_key(settings.keys / "log.key", "armshare/log"))
    try:
        cluster = cluster_of(settings, place, database, hub, Keys(key.address, log.verifier, bytes(key.key)))
    except PlatformError:
        engine.dispose()
        raise
    accounts = Accounts(database, settings.url, deployment.chain_id)
    models = EncodedCache(settings.data / "encoded")
    return Parts(
        settings=settings,
        key=key,
        admin_token=load_token(settings.keys / "admin.token"),
        deployment=deployment,
        chain=chain,
        engine=engine,
        database=database,
        hub=hub,
        driving=Driving(accounts, registry, hub, deployment.domain, models, cluster),
        log=log,
        files=files_of(settings, database),
        models=models,
    )


def files_of(settings: Settings, database: Database) -> Opened:
    """Open where episodes' files are kept; raise PlatformError if that is a bucket which does not answer."""
    plain = Cache(settings.plain.absolute(), settings.store_cache_bytes)
    places = Sealing(settings.keys / EPISODES_KEY, plain)
    return sealing(_kept(settings, database), database, places, now_ms)


def _kept(settings: Settings, database: Database) -> Opened:
    if not settings.store:
        return in_folder(settings.episodes, settings.uploads)
    objects = Objects.at(settings.store)
    cache = Cache(settings.store_cache.absolute(), settings.store_cache_bytes)  # workers are elsewhere
    try:
        objects.require()
    except StoreLostError as error:
        what = f"{settings.store}, where episodes' files are to be kept, cannot be used: {error}"
        todo = "Check its name, and AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        raise PlatformError(f"{what}. {todo}") from error
    return in_bucket(objects, database, cache, now_ms, settings.episodes)


def unusable(settings: Settings, error: DatabaseError) -> PlatformError:
    """Return what is said of a database that cannot be used."""
    said = " ".join(str(error.orig).split())
    if not settings.database:
        what = f"{settings.database_named} cannot be used ({said})"
        return PlatformError(f"{what}. Restore it from a backup, or name another folder with --data.")
    what = f"The database {settings.database_named} cannot be used ({said})"
    how = "Start it, or name another with --database; it must exist, and its user must be allowed to make tables there"
    return PlatformError(f"{what}. {how}.")


def _pipeline(parts: Parts, hands: Hands, place: Placed) -> Pipeline:
    settings = parts.settings

    def log_head() -> tuple[int, bytes]:
        with parts.database() as db:
            return parts.log.head(db)

    where = parts.deployment.domain, settings.common / "roots"
    payouts = Payouts(parts.database, parts.chain, *where, log_head, now_ms, place.alone)
    payouts.reconcile()  # before there is a server, which would say it by a traceback
    pipeline = Pipeline(
        parts.database,
        parts.files.store,
        payouts,
        settings.prices,
        qualification=settings.qualification,
        executor=hands.long,
        reads=hands.short,
        at_once=hands.count,
        settle_every_s=settings.settle_every_s,
        mine=place.mine,
    )
    if not settings.chain_url:
        for task in settings.prices:
            pipeline.fund(task, POOL_WEI, f"first:{task}")
    return pipeline


def _giving(parts: Parts, hands: Hands, mine: Callable[[], bool], readers: SetReaders) -> Giving:
    settings = parts.settings
    sizes = round(settings.exports_gb * 1e9), round(settings.releases_gb * 1e9)
    bounds = Bounds(sizes[0], round(settings.exports_kept_days * DAY_MS), sizes[1])
    places = Places(settings.common, settings.keys, settings.url)
    versions = ShelvedVersions(parts.database)
    bundle = partial(stored_bundle, parts.files.store)
    said = (places, parts.database, versions, bundle, lambda: _config(parts).model_dump(), bounds)
    return Giving(*said, runner=hands.runner, mine=mine, readers=readers)


class ConfigAnswer(BaseModel):
    """What a client must know of this hub; `chain_id` and `vault` make the EIP-712 domain."""

    protocol: int
    chain_id: int
    vault: str
    token: str
    token_symbol: str
    token_decimals: int
    hub: str
    log_origin: str
    log_public_key: str
    score_version: str
    release_public_key: str
    """PEM: what released data sets are signed by."""
    owner_share: float
    """What a robot's owner is paid beside an operator's pay, as a share of it."""
    reviewer_share: float
    """What one review is paid, as a share of the price."""


def _config(parts: Parts, release_public_key: str = "") -> ConfigAnswer:
    return ConfigAnswer(
        protocol=PROTOCOL,
        chain_id=parts.deployment.chain_id,
        vault=parts.deployment.vault,
        token=parts.deployment.token,
        token_symbol="ARM",
        token_decimals=18,
        hub=parts.key.address,
        log_origin=parts.log.origin,
        log_public_key=parts.log.verifier,
        score_version=SCORE_VERSION,
        release_public_key=release_public_key,
        owner_share=parts.settings.owner_share,
        reviewer_share=parts.settings.reviewer_share,
    )


def load_token(path: Path) -> str:
    """Return the secret kept in `path`, made if it is not there."""
    return kept_secret(path, lambda: secrets.token_urlsafe(32))


@contextmanager
def opened_chain(settings: Settings, place: Placed | None = None) -> Iterator[tuple[Chain, Deployment]]:
    """Yield the chain with our contracts deployed once; the embedded one lives as long as this block."""
    key = load_key(settings.keys / "hub.key")
    record = settings.common / "chain" / "deployment.json"
    with ExitStack() as stack:
        if settings.chain_url:
            chain = Chain.connect(settings.chain_url, key, alone=(place or Placed()).alone)
            yield chain, chain.deploy_once(record, _outside_terms(settings))
        else:
            embedded = stack.enter_context(EmbeddedChain(settings.data / "chain", key.address))
            chain = Chain.connect(embedded.url, key, mined=embedded.save)
            yield chain, chain.deploy_once(record)


def _outside_terms(settings: Settings) -> VaultTerms:
    """Return what a vault on an outside chain is deployed with; raise DeploymentError if a setting is missing."""
    for name in ("token", "guardian", "arbiter"):
        if not getattr(settings, name):
            raise DeploymentError(
                f"the chain {settings.chain_url} needs ARMSHARE_{name.upper()}, which is not set (docs/operating.md)"
            )
    return VaultTerms(
        delay_s=settings.vault_delay_s,
        bond_wei=settings.vault_bond_wei,
        guardian=settings.guardian,
        arbiter=settings.arbiter,
        token=settings.token,
    )
