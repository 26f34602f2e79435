"""What the scripts share: how one starts and ends, and a figure that is the same whenever its data are."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from arena.usage import usage_errors
from games import ArenaError

Options = TypeVar("Options")


def start(run: Callable[[Options], object], options: type[Options], *, goes_on: bool = False) -> NoReturn:
    """Runs the script that was called with the options of the command line, and exits.

    The status is 0; 1 if ``run`` returns something true, which is what it found wrong; 2 after an ArenaError, which is
    printed; and 130 after Ctrl-C. ``goes_on`` says that the same command then goes on where it stopped.
    """
    name = Path(sys.argv[0]).stem
    prog = f"python -m scripts.{name}"
    try:
        with usage_errors(prog):
            parsed = tyro.cli(options, prog=prog, description=sys.modules["__main__"].__doc__)
        sys.exit(1 if run(parsed) else 0)
    except ArenaError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on." if goes_on else "Stopped.", file=sys.stderr)
        sys.exit(130)


@contextlib.contextmanager
def svg_figure(path: Path, width: float, height: float, **subplots: Any) -> Iterator[Any]:
    """The axes of a figure of ``width`` by ``height`` inches, which is written to ``path`` in the end; the same data
    give the same file. ``subplots`` are as for ``pyplot.subplots``."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = path.stem
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained", **subplots)
    yield axes
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
