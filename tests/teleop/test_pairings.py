"""The pairings of BLS are not loaded to sign or to check, and work for who needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    [
        "teleop.identity",
        "teleop.operator.driver",
        "recorder.proof.seal",
        "rewards.chain.chain",
        "armshare.platform.host",
    ],
)
def test_what_signs_loads_no_pairings(module):
    loaded = "[name for name in sys.modules if name.startswith('py_ecc.optimized')]"
    assert said(f"import sys, {module}; print('eth_account' in sys.modules, {loaded})") == "True []"


def test_a_validators_keystore_is_still_written_and_read():
    program = """
import teleop.identity
import eth_keyfile

kept = eth_keyfile.create_keyfile_json(bytes(31) + b"\\x07", b"secret", version=4, kdf="pbkdf2", iterations=2)
print(kept["pubkey"] != "", eth_keyfile.decode_keyfile_json(kept, b"secret").hex())
"""
    assert said(program) == f"True {'00' * 31}07"


def test_anyone_else_gets_the_pairings_as_they_are():
    program = """
import teleop
from py_ecc.bls import G2Basic
import py_ecc.bls.ciphersuites
import teleop.pairings
import py_ecc.bls12_381
from py_ecc.optimized_bls12_381 import curve_order

assert py_ecc.bls12_381.G1, "which is loaded by being used"
assert curve_order == py_ecc.bls12_381.curve_order == teleop.pairings.ORDER
print(G2Basic is py_ecc.bls.ciphersuites.G2Basic)
"""
    assert said(program) == "True"
