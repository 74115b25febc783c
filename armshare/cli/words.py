"""The words of a search as options, made of the one list that the hub and the page have, too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from rewards.datasets.words import WORDS, FilterValueError, Words

ELSEWHERE: Final = ("limit",)
"""What the commands have themselves: here it counts all that is listed or downloaded, over HTTP those of one page."""
OPTIONS: Final = tuple(name for name in WORDS if name not in ELSEWHERE)


def option_of(name: str) -> str:
    """Return what a word is called on the command line: `score_min` is `--score-min`."""
    return f"--{name.replace('_', '-')}"


def searching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each word; it is called with `words`, those that were given."""
    own = inspect.signature(command, eval_str=True)
    kept = [one for one in own.parameters.values() if one.name != "words"]
    options = [_option(name) for name in OPTIONS]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        words = {name: value for name in OPTIONS if (value := given.pop(name)) is not None}
        _require(words)
        command(words=words, **given)

    run.__annotations__ = {}
    run.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]  # what Typer looks at
    return run


def _option(name: str) -> inspect.Parameter:
    word = WORDS[name]
    said = Annotated[
        str | None,
        typer.Option(option_of(name), metavar=word.metavar, help=word.meaning, rich_help_panel="Which episodes"),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=said)


def _require(words: Mapping[str, str]) -> None:
    """Raise BadParameter, which names the option, if a word cannot have its value."""
    for name, value in words.items():
        try:
            Words.of([(name, value)])
        except FilterValueError as error:
            raise typer.BadParameter(str(error), param_hint=option_of(name)) from error
