"""A stranger's function, found by `module:function`. What it raises is reported in one line, with the line of its code.

Part of sim; exports `find` and `call`, and the errors that a person can act on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
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
    module, _, attribute = name.partition(":")
    if not module or not attribute.isidentifier():
        raise UnknownPolicyError(f"{name!r} does not name a policy: write module:function, such as my_policy:act.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
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
