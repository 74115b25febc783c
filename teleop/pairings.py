"""The pairings of BLS, loaded only if something uses them: eth-account brings them for the keystores of validators.

Loading them computes constants for 0.4 s, more than all else that a command of ours loads to sign, and nothing here
reads such a keystore. `leave_until_used` comes before the first import of eth-account: in each package's `__init__`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""The order of BLS12-381's groups (RFC 9380 and the IETF's draft of BLS signatures call it r)."""
_PACKAGE: Final = "py_ecc"
_MODULES: Final = ("bls", "bls12_381")
_KNOWN: Final = {("py_ecc.bls12_381", "curve_order"): ORDER}


class _Part:
    """One name of a module, which is loaded when something of it is asked for."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_loaded(self._module), self._name), name)


class _Later(ModuleType):
    """Stands for a module until something of it is used."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self.__path__ = [str(folder)]  # an import asks for it, and finds the modules below there

    def __getattr__(self, name: str) -> Any:
        if (self.__name__, name) in _KNOWN:
            return _KNOWN[self.__name__, name]
        if (self.__name__, name) == ("py_ecc.bls", "G2ProofOfPossession"):  # all that eth-keyfile imports of it
            return _Part(self.__name__, name)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(_loaded(self.__name__), name)


def leave_until_used() -> None:
    """Let nothing load the pairings until something of them is used."""
    found = find_spec(_PACKAGE)
    for place in (found and found.submodule_search_locations) or ():
        for name in _MODULES:
            full = f"{_PACKAGE}.{name}"
            sys.modules.setdefault(full, _Later(full, Path(place) / name))


def _loaded(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _Later):
        del sys.modules[name]
    return import_module(name)
