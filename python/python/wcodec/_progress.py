"""Progress: a bar, or whatever the caller wants to be told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Union

Callback = Callable[[int, int], object]
Progress = Union[None, bool, Callback]


@contextmanager
def reporting(progress: Progress, what: str) -> Iterator[Callback | None]:
    """Gives the function to call with the bytes done and their total, if there is to be one."""
    if progress is None or progress is False:
        yield None
    elif progress is True:
        bar = _Bar(what)
        try:
            yield bar
        finally:
            bar.close()
    elif callable(progress):
        yield progress
    else:
        raise TypeError(f"progress is {progress!r}, expected True, False or a function")


class _Bar:
    """tqdm's bar where it is installed, else a percentage on standard error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                self._bar = False
            else:
                self._bar = tqdm(total=total, desc=self._what, unit="B", unit_scale=True)
        if self._bar is False:
            text = f"\r{self._what}: {100 * done // total} %"
            if text != self._shown:
                print(text, end="", file=sys.stderr, flush=True)
                self._shown = text
        else:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar:
            self._bar.close()
        elif self._shown:
            print(file=sys.stderr)
