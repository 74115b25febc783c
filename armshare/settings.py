"""The platform's settings, from the environment (`ARMSHARE_...`) or from the command line, in one frozen place."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from armshare.public_url import is_every_address, named, own_address, require_public
from rewards.people.reviews import RULES, ReviewRules

WORKERS: Final = max(1, min((os.cpu_count() or 1) // 2, 8))
"""Half of the processors, as robots and cameras need theirs."""
_BUCKET: Final = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?"


class Settings(BaseSettings):
    """What a hub is told when it starts; everything that must not be lost is below `data`."""

    model_config = SettingsConfigDict(env_prefix="ARMSHARE_", frozen=True)

    data: Path = Path("data")
    """Accounts, episodes, keys, the log and the chain's state live here."""
    store: str = ""
    """Where episodes' files are kept: `s3://bucket/prefix`, with its endpoint and keys in `AWS_...`; empty means below
    `data`."""
    store_cache_bytes: int = Field(20 << 30, ge=0)
    """How many bytes of downloads from there are kept below `data`, beside those in use."""
    hub_name: str = Field("", pattern="^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?$")
    """What this hub is called among several that share a database; empty: it has the database for itself."""
    nats: str = ""
    """The bus by which several hubs know of each other's robots: `nats://USER:PASSWORD@host:4222`, or `tls://`."""
    nats_credentials: Path | None = None
    """A file of credentials for it, as NATS writes them."""
    peer_url: str = ""
    """Where the other hubs reach this one; people need not."""
    shared: Path | None = None
    """A folder that several hubs have in common, for what they must all have: keys, published payouts, exports, and
    episodes if no bucket is named. Empty means below `data`."""
    database: str = ""
    """The URL of a PostgreSQL database for accounts, episodes and the ledger; empty keeps them in a file of `data`."""
    workers: int = Field(WORKERS, ge=0, le=256)
    """How many processes verify and score. With a database and a bucket it may be 0: then only others' workers do."""
    dask: str = Field("", pattern=r"^((tcp|tls|ucx|ws|wss)://[^\s/]+)?$")
    """The address of a Dask scheduler whose workers draw pictures; empty draws them on this machine."""
    host: str = "127.0.0.1"
    """The address that the hub listens on."""
    port: int = Field(8000, ge=0, le=65535)
    """The port that the hub listens on; 0 takes a free one."""
    public_url: str = Field("", validate_default=True)
    """What operators' browsers call this hub, for sign-in (EIP-4361), with its path if it has one; empty means
    http://host:port, which must then be one address."""
    chain_url: str = ""
    """JSON-RPC of an EVM chain; empty starts the embedded one (anvil)."""
    token: str = ""
    """The ERC-20 that an outside chain's vault pays in; the embedded chain makes a test token."""
    vault_delay_s: int = Field(48 * 3600, ge=0)
    """How long a payout root can be disputed on an outside chain; the embedded one does not wait."""
    vault_bond_wei: int = Field(0, ge=0)
    """What disputing costs anyone but the guardian, on an outside chain."""
    guardian: str = ""
    """Who may pause and dispute on an outside chain."""
    arbiter: str = ""
    """Who decides disputes on an outside chain; never the hub."""
    settle_every_s: float = Field(60.0, ge=0.0)
    """How often earned pay is settled in a new root; 0 settles only when asked."""
    lease_s: float = Field(900.0, gt=0.0)
    """How long one operator may hold a robot while others wait."""
    erase_after_days: float = Field(30.0, gt=0.0)
    """How long a refused or unsigned episode is kept; after that its files are erased."""
    away_s: float = Field(60.0, ge=0.0)
    """How long a drive is kept for an operator whose connection was lost; 0 ends it at once."""

    exports_gb: float = Field(20.0, gt=0.0)
    """How much disk the archives of exports may take."""
    releases_gb: float = Field(100.0, gt=0.0)
    """How much disk released data sets may take; beyond that, nothing more is released."""
    exports_kept_days: float = Field(7.0, gt=0.0)
    """How long the archive of an export that nobody asks for is kept."""

    qualification: bool = True
    """Whether a wallet's drives are unpaid practice until one of them has passed the checks of the first drive."""

    prices: dict[str, Annotated[int, Field(ge=0)]] = {
        "reach": 5 * 10**17,
        "lift": 10**18,
        "push": 10**18,
        "pick_place": 15 * 10**17,
        "stack": 2 * 10**18,
        "drawer": 2 * 10**18,
        "peg": 2 * 10**18,
        "pour": 25 * 10**17,
        "handover": 3 * 10**18,
        "fetch": 3 * 10**18,
        "sort": 4 * 10**18,
    }
    """The most that one accepted episode of a task pays, in the token's smallest unit."""

    owner_share: float = Field(0.1, ge=0.0, le=1.0)
    """What a robot's owner is paid beside the operator, as a share of the operator's pay, for each accepted episode
    that somebody else drove on it. It is fixed when an episode begins."""
    reviewer_share: float = Field(0.05, ge=0.0, le=1.0)
    """What one review is paid, as a share of the price of the episode; fixed as above."""

    review_episodes: int = Field(RULES.episodes_least, ge=0)
    """How many accepted episodes with robots that the hub replays a reviewer must have driven."""
    review_known: int = Field(RULES.known_each, ge=0)
    """How many known answers of each kind a reviewer must have given before their votes count."""

    @field_validator("store")
    @classmethod
    def _a_bucket(cls, store: str) -> str:
        if store and not re.fullmatch(_BUCKET, store):
            raise ValueError(
                f"expected s3://BUCKET or s3://BUCKET/PREFIX, got {store[:200]!r}; leave it out for a folder"
            )
        return store.rstrip("/")

    @field_validator("nats")
    @classmethod
    def _a_bus(cls, url: str) -> str:
        if url and not re.fullmatch(r"(nats|tls)://[^\s/]+", url):
            raise ValueError("expected the URL of a NATS server, such as nats://USER:PASSWORD@10.0.0.1:4222")
        return url

    @field_validator("peer_url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s]{1,290}", url):
            raise ValueError("expected where the other hubs reach this one, such as http://10.0.0.5:8000")
        return url.rstrip("/")

    @field_validator("database")
    @classmethod
    def _known(cls, url: str) -> str:
        if url:
            from teleop.hub.db import EXAMPLE, database_url  # here, so that commands without a database load none

            if database_url(url).get_backend_name() != "postgresql":
                raise ValueError(f"expected the URL of a PostgreSQL database, such as {EXAMPLE}; a file is in --data")
        return url

    @field_validator("workers")
    @classmethod
    def _somebody_works(cls, workers: int, info: ValidationInfo) -> int:
        if not workers and not (info.data.get("database") and info.data.get("store")):
            raise ValueError("it may be 0 only with a database and a bucket, as nobody else could verify then")
        return workers

    @field_validator("public_url")
    @classmethod
    def _one_place(cls, url: str, info: ValidationInfo) -> str:
        if url:
            return require_public(url)
        host, port = info.data.get("host", ""), info.data.get("port", 0)
        if is_every_address(host):
            raise ValueError(
                f"the hub listens on every address ({host or 'no host'}), so it has to be told what browsers call it; "
                f"give --public-url, for example {named(own_address(), port or 8000)}"
            )
        return url

    @property
    def shares_work(self) -> bool:
        """Whether workers elsewhere can do this hub's work: they need the table that it is in, and the files."""
        return bool(self.database and self.store)

    @property
    def review_rules(self) -> ReviewRules:
        """The rules of review, with what this hub asks of reviewers."""
        return replace(RULES, episodes_least=self.review_episodes, known_each=self.review_known)

    @property
    def shares(self) -> dict[str, int]:
        """The shares in parts per million, under the names that a ticket has for them."""
        shares = {"owner_ppm": self.owner_share, "reviewer_ppm": self.reviewer_share}
        return {name: round(share * 1_000_000) for name, share in shares.items()}

    @property
    def url(self) -> str:
        """What browsers call this hub."""
        return self.public_url or named(self.host, self.port)

    @property
    def path(self) -> str:
        """The path of its site that it is below, such as `/arms`; empty for the site's root."""
        return urlsplit(self.url).path

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.database or f"sqlite:///{self.data / 'armshare.sqlite'}"

    @property
    def database_named(self) -> str:
        """What to call the database in a sentence: its file, or its URL without the password."""
        if not self.database:
            return str(self.data / "armshare.sqlite")
        from teleop.hub.db import database_url

        return database_url(self.database).set(drivername="postgresql").render_as_string(hide_password=True)

    @property
    def common(self) -> Path:
        """Where what several hubs must all have is kept; for one hub, with everything else."""
        return self.shared or self.data

    @property
    def episodes(self) -> Path:
        """Where the hub keeps verified episodes."""
        return self.common / "episodes"

    @property
    def uploads(self) -> Path:
        """Where unfinished uploads wait."""
        return self.common / "uploads"

    @property
    def store_cache(self) -> Path:
        """Where downloads from a bucket are kept."""
        return self.data / "store-cache"

    @property
    def plain(self) -> Path:
        """Where private recordings that a reader needs are in the clear, for as long as it does."""
        return self.data / "plain"

    @property
    def keys(self) -> Path:
        """Where the hub's own keys are kept, readable by their owner only."""
        return self.common / "keys"
