"""A stranger's function, found by `module:function`. What it raises is reported in one line, with the line of its code.

Part of sim; exports `find` and `call`, the errors that a person can act on, and
`fingerprint`, which says which one it is.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class UnknownPolicyError(Exception):
    """There is no such policy to load."""


class PolicyError(Exception):
    """A policy raised, or returned something that is not an action."""


def find(name: str) -> Callable[..., Any]:
    """Return what is called `module:function`; raise UnknownPolicyError.

    The module is looked up in the working directory, then on Python's path.
    """
    module, attribute = _parted(name)
    here = _here()
    try:
        found = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise UnknownPolicyError(f"{name}: {error}; it was looked for in {here} and on Python's path") from error
    except Exception as error:
        raise UnknownPolicyError(f"{name}: importing {module} raised {said(error)}") from error
    if callable(found):
        function: Callable[..., Any] = found
        return function
    raise UnknownPolicyError(f"{name}: {module} has no function called {attribute}.")


def fingerprint(name: str, checkpoint: Path | None = None) -> str:
    """Return the `sha256_of` what the policy called `module:function` is made of; raise UnknownPolicyError.

    That is its module's file and, if it has one, its checkpoint. The module is not imported.
    """
    module, _ = _parted(name)
    here = _here()
    try:
        file = getattr(sys.modules.get(module), "__file__", None) or _file_in(module)
        if file is not None:
            return sha256_of(Path(file)) if checkpoint is None else sha256_of(Path(file), checkpoint)
    except ModuleNotFoundError as error:
        raise UnknownPolicyError(f"{name}: {error}; it is looked for in {here} and on Python's path") from error
    except OSError as error:
        raise UnknownPolicyError(f"{name}: {error.filename} cannot be read: {error.strerror}.") from error
    except Exception as error:
        raise UnknownPolicyError(f"{name}: importing {module} raised {said(error)}") from error
    raise UnknownPolicyError(f"{name}: {module} has no file, so nobody could say which policy drove; put it in one.")


def sha256_of(*files: Path) -> str:
    """Return the SHA-256 of a file; of several, that of theirs, as hex, each on a line of its own.

    A folder counts as one that has for each file in it, sorted by name, what `sha256sum` prints. Raises OSError.
    """
    if len(files) > 1:
        return hashlib.sha256("".join(f"{sha256_of(file)}\n" for file in files).encode()).hexdigest()
    (file,) = files
    if file.is_dir():
        inside = sorted(one.relative_to(file).as_posix() for one in file.rglob("*") if one.is_file())
        listed = "".join(f"{sha256_of(file / one)}  {one}\n" for one in inside)
        return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _parted(name: str) -> tuple[str, str]:
    module, _, attribute = name.partition(":")
    if not module or not attribute.isidentifier():
        raise UnknownPolicyError(f"{name!r} does not name a policy: write module:function, such as my_policy:act.")
    return module, attribute


def _here() -> str:
    """Return the working directory, in which modules are looked up first from now on."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return here


def _file_in(module: str) -> str | None:
    spec = find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    return spec.origin if spec.has_location else None


def call(name: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Return what the function called `name` returns; raise PolicyError if it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        raise PolicyError(f"{name} raised {said(error)}") from error


def said(error: Exception) -> str:
    """Say what was raised, and at which line of the stranger's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f", at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}: {error}{where}"


def short(value: object) -> str:
    """Return a value as Python writes it, in one line of at most 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
