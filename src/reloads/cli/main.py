"""The command ``reloads``. Errors are one sentence and an exit code, or with ``--json`` a document that holds both."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version as version_of
from typing import Annotated

import typer
from typer.exceptions import TyperException

from reloads.cli import ask, control, diff, doctor, history, init, logs, move, sql, status, tables
from reloads.cli.command import HELP, register
from reloads.cli.console import LogLines, end_with, say, session
from reloads.cli.exit_codes import MEANINGS, Exit
from reloads.errors import OperatorError, ReloadsError

EXIT_CODES = "\n".join(["\b", "Exit codes:", *(f"  {code.value:<3}  {meaning}" for code, meaning in MEANINGS.items())])

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP,
    epilog=EXIT_CODES,
)


def _show_version(is_asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if is_asked:
        say(f"reloads {version_of('reloads')}")
        raise typer.Exit


VERSION = Annotated[
    bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
]


@app.callback()
def reloads(*, version: VERSION = False) -> None:
    """Ask for reloads and watch them.

    In a terminal the answers are tables, in a pipe plain lines with tabs, and with --json one JSON document. Times are
    in your own time zone (TZ), and in UTC in JSON.
    """


COMMANDS: list[str] = []
for module in (ask, status, tables, history, diff, sql, logs, control, move, init, doctor):
    for function, examples in module.COMMANDS.items():
        register(app, function, examples)
        COMMANDS.append(function.__name__)


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence."""
    handler = LogLines()
    logging.getLogger().addHandler(handler)
    session.as_json = _is_json_asked(sys.argv[1:])
    try:
        sys.exit(app(standalone_mode=False, prog_name="reloads") or Exit.DONE)
    except TyperException as error:
        _end_wrong_usage(error)
    except OperatorError as error:
        end_with(str(error), Exit.WRONG)
    except ReloadsError as error:
        end_with(str(error), Exit.FAILED)
    except FileNotFoundError as error:
        end_with(f"{error.filename} does not exist; check the path", Exit.WRONG)
    except OSError as error:
        end_with(f"{error.filename or 'a file'}: {error.strerror}; make room or grant access", Exit.WRONG)
    except (KeyboardInterrupt, typer.Abort):
        end_with("stopped; whatever was accepted goes on without this command", Exit.STOPPED)
    finally:
        logging.getLogger().removeHandler(handler)


def _end_wrong_usage(error: TyperException) -> None:
    """End with what is wrong with the call, or with the help where nothing was said."""
    context = getattr(error, "ctx", None)
    if not sys.argv[1:] and context:
        for line in error.format_message().split("\n"):
            say(line)
        sys.exit(Exit.WRONG)
    message = error.format_message().removesuffix(".")
    path = context.command_path if context else "reloads"
    end_with(f"{message}{' See' if message.endswith('?') else '; see'} {path} --help", Exit.WRONG)


def _is_json_asked(arguments: Sequence[str]) -> bool:
    """Whether the document is asked for; also where the call is so wrong that nobody reads its options."""
    before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before_end


if __name__ == "__main__":
    main()
