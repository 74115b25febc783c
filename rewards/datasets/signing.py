"""Signs a released folder as OpenSSF Model Signing says (github.com/ossf/model-signing-spec), with the hub's own key.

Anyone checks it without our code:

    model_signing verify key FOLDER --signature FOLDER/model.sig --public_key release.pub
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from teleop.identity import KeyContentError, kept_secret

SIGNATURE: Final = "model.sig"
"""Where the signature lies in the folder, under the name that the public tool gives it."""
_CLIENTS_OWN: Final = ".cache/huggingface"
"""What `huggingface_hub` writes beside the files that it downloads into a folder: no part of the set."""


def release_key(path: Path) -> str:
    """Return the public key (PEM) of the P-256 key in `path`, which is made, for its owner only, if it is not there.

    Raises KeyContentError if the file holds something else.
    """
    kept_secret(path, _new_key)
    public = _load(path).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def sign(folder: Path, key: Path) -> Path:
    """Sign every file in a folder, and write the signature into it; return where that is. Raises KeyContentError."""
    from model_signing import hashing, signing  # here, as only a process that releases needs what it loads

    _load(key)
    signature = folder / SIGNATURE
    hashed, signer = hashing.Config(), signing.Config()  # type: ignore[no-untyped-call]  # their constructors are
    hashed.set_ignored_paths(paths=[signature, folder / _CLIENTS_OWN], ignore_git_paths=False)
    signer.use_elliptic_key_signer(private_key=key).set_hashing_config(hashed).sign(folder, signature)
    return signature


def _new_key() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    wrong = f"{path} holds no P-256 key in PEM: restore it, or remove it to make another, which signs nothing of before"
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyContentError(wrong) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise KeyContentError(wrong)
    return found
