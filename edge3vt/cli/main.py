"""``edge3vt``: one line for each error, and exit codes that a script can use.

0 pass, 1 a gate failed, 2 usage or bad input, 3 the environment lacks something.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Annotated

import typer

from edge3vt import __version__
from edge3vt.cli import (
    adopt,
    bench,
    build,
    calibrate,
    cart,
    data,
    demo,
    doctor,
    drill,
    evaluate,
    lint,
    phantom,
    profile,
    run,
    study,
    train,
)
from edge3vt.cli.output import note
from edge3vt.core.errors import Edge3vtError

app = typer.Typer(
    name="edge3vt",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="A live segmentation overlay for the fetal three-vessel-trachea view that keeps its deadline. "
    "A toolkit for building and testing; not a medical device.",
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("profile")(profile.profile)
app.command("phantom")(phantom.phantom)
app.command("train")(train.train)
app.command("distill")(train.distill)
app.command("export")(train.export)
app.command("adopt")(adopt.adopt)
app.command("calibrate")(calibrate.calibrate)
app.command("lint")(lint.lint)
app.command("build")(build.build)
app.command("verify")(build.verify)
app.command("evaluate")(evaluate.evaluate)
app.command("doctor")(doctor.doctor)
app.command("drill")(drill.drills)
app.add_typer(bench.app, name="bench")
app.add_typer(cart.app, name="engines")
app.add_typer(data.app, name="data")
app.add_typer(study.app, name="study")


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log.")] = False,
) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, stream=sys.stderr)
    if version:
        print(f"edge3vt {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """The entry point; ends the process with the exit code."""
    asked = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in asked
    try:
        code = app(args=asked, standalone_mode=False)
    except typer.TyperException as error:
        words, context = ["--help"], getattr(error, "ctx", None)
        while context is not None and context.parent is not None:  # the verb, and the group that it belongs to
            words.insert(0, context.info_name)
            context = context.parent
        _fail(f"{error.format_message().rstrip('.')}; see edge3vt {' '.join(words)}", 2)
    except Edge3vtError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _fail(f"unexpected {type(error).__name__}: {error}; please report it with the output of --debug", 3)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    note("edge3vt: " + " ".join(message.split()))
    sys.exit(code)
