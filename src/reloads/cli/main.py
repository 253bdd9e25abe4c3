"""The command ``reloads``. Errors are one sentence and an exit code.

Exit codes: 0 done, 1 the request or its outcome is bad, 2 wrong usage or environment.
"""

from __future__ import annotations

import logging

import typer

from reloads.cli import ask, control, watch
from reloads.cli.console import LogLines, end_with
from reloads.errors import OperatorError, ReloadsError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Ask for reloads and watch them."
)
for module in (ask, watch, control):
    for command in module.COMMANDS:
        app.command()(command)


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence."""
    logging.getLogger().addHandler(LogLines())
    try:
        app()
    except OperatorError as error:
        end_with(str(error), 2)
    except ReloadsError as error:
        end_with(str(error), 1)
    except FileNotFoundError as error:
        end_with(f"{error.filename} does not exist; check the path", 2)
    except OSError as error:
        end_with(f"{error.filename or 'a file'}: {error.strerror}; make room or grant access", 2)
    except KeyboardInterrupt:
        end_with("stopped; whatever was accepted goes on without this command", 130)


if __name__ == "__main__":
    main()
