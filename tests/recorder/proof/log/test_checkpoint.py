"""C2SP checkpoints: signed notes that only the log's key opens."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.proof.log.checkpoint import Checkpoint, CheckpointError, LogKey, load_log_key, open_checkpoint
from tests.recorder.bundles import LOG_KEY

HEAD = Checkpoint(LOG_KEY.origin, 7, hashlib.sha256(b"root").digest())


def test_a_checkpoint_is_the_text_of_the_specification() -> None:
    lines = LOG_KEY.sign(HEAD).split("\n")

    assert lines[:4] == [LOG_KEY.origin, "7", base64.b64encode(HEAD.root).decode(), ""]
    assert lines[4].startswith(f"\N{EM DASH} {LOG_KEY.origin} ")
    assert lines[5:] == [""]


def test_the_signature_is_ed25519_over_the_body_behind_the_key_id() -> None:
    body, _, signatures = LOG_KEY.sign(HEAD).partition("\n\n")
    data = base64.b64decode(signatures.split(" ")[2])
    public = LOG_KEY.private.public_key().public_bytes_raw()

    assert data[:4] == hashlib.sha256(LOG_KEY.origin.encode() + b"\n\x01" + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(data[4:], (body + "\n").encode())


def test_a_signed_checkpoint_is_opened_with_the_verifier_key() -> None:
    assert open_checkpoint(LOG_KEY.sign(HEAD), LOG_KEY.verifier) == HEAD


def test_every_flipped_byte_of_a_checkpoint_is_refused() -> None:
    note = LOG_KEY.sign(HEAD).encode()
    for at in range(len(note)):
        changed = bytearray(note)
        changed[at] ^= 1
        text = changed.decode(errors="replace")
        if at == len(note) - 1:
            continue  # the newline behind the last signature is not signed
        with pytest.raises(CheckpointError):
            open_checkpoint(text, LOG_KEY.verifier)


def test_another_key_under_the_same_name_is_refused() -> None:
    other = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))

    with pytest.raises(CheckpointError, match="key id"):
        open_checkpoint(other.sign(HEAD), LOG_KEY.verifier)


def test_a_cosignature_beside_the_logs_own_is_ignored() -> None:
    witness = LogKey("witness.test", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    cosigned = LOG_KEY.sign(HEAD) + witness.sign(HEAD).partition("\n\n")[2]

    assert open_checkpoint(cosigned, LOG_KEY.verifier) == HEAD


@pytest.mark.parametrize("verifier", ["", "a+b", "a+00000000+AAAA", LOG_KEY.verifier.replace("+", "+0", 1), "x+zz+==="])
def test_a_malformed_verifier_key_is_refused(verifier: str) -> None:
    with pytest.raises(CheckpointError):
        open_checkpoint(LOG_KEY.sign(HEAD), verifier)


@pytest.mark.parametrize("origin", ["", "two words", "plus+sign", "line\nbreak"])
def test_an_origin_that_a_note_cannot_carry_is_refused(origin: str) -> None:
    with pytest.raises(CheckpointError):
        LogKey(origin, LOG_KEY.private)


def test_the_logs_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    made = load_log_key(tmp_path / "keys" / "log", "armshare.test")

    assert load_log_key(tmp_path / "keys" / "log", "armshare.test").verifier == made.verifier
    assert stat.S_IMODE((tmp_path / "keys" / "log").stat().st_mode) == 0o600
