"""How a function that returns an ``Answer`` becomes a command: with ``--json``, ``-h`` and examples in its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand

from reloads.cli.answer import Answer
from reloads.cli.console import session, show

JSON = Annotated[bool, typer.Option("--json", help="one JSON document, errors too")]
HELP = {"help_option_names": ["-h", "--help"]}

CommandFunction = Callable[..., Answer | None]
Example = tuple[str, str]
"""A command line without ``reloads``, and what it does."""


class Command(TyperCommand):
    """A command whose help shows no types beside the names of its arguments."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign] # noqa: ARG005


def register(app: typer.Typer, function: CommandFunction, examples: Sequence[Example]) -> None:
    """Add the command to the app; what it answers is shown in the form that was asked for."""
    app.command(cls=Command, epilog=_format_examples(examples), context_settings=HELP)(_with_json(function))


def _with_json(function: CommandFunction) -> Callable[..., None]:
    def run(*, as_json: bool = False, **arguments: Any) -> None:
        session.as_json = as_json
        answer = function(**arguments)
        if answer is not None:
            show(answer)
            raise typer.Exit(answer.exit)

    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for each in inspect.signature(function).parameters.values():
        parameters.append(each.replace(annotation=hints[each.name]))
    option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JSON)
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature([*parameters, option])  # type: ignore[attr-defined]
    run.__annotations__ = {name: hint for name, hint in hints.items() if name != "return"} | {"as_json": JSON}
    return run


def _format_examples(examples: Sequence[Example]) -> str:
    lines = ["\b", "Examples:"]
    for line, words in examples:
        lines += [f"  # {words}", f"  reloads {line}"]
    return "\n".join(lines)
