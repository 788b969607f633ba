"""How `deft` and its subcommands end: one sentence on stderr and an exit status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console

from deft_core.errors import ConfigError, DeftError

EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 1, 2, 130


def fail(message: str, code: int) -> None:
    """Print the message and end the command. Raises typer.Exit."""
    Console(stderr=True).print(f"deft: {message}", style="red", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """The project's errors as a sentence and an exit status."""
    try:
        yield
    except ConfigError as error:
        fail(str(error), EXIT_USAGE)
    except DeftError as error:
        fail(error.message, EXIT_FAILED)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}", EXIT_FAILED)
