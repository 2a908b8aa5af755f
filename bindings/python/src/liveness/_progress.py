"""A progress bar of tqdm, where there is one and somebody looks at it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class Progress:
    """Counts images on standard error, or does nothing.

    ``wanted`` None means: where tqdm is installed and standard error is a terminal.
    """

    def __init__(self, total: int | None, wanted: bool | None) -> None:
        self._bar: Any = None
        if wanted is False or (wanted is None and not _is_terminal()):
            return
        try:
            from tqdm import tqdm  # noqa: PLC0415 (it is optional)
        except ImportError as error:
            if wanted:
                cure = "pip install 'liveness[progress]'"
                raise ImportError(f"progress=True needs tqdm: {cure}") from error
            return
        self._bar = tqdm(total=total, unit="image")

    def advance(self) -> None:
        """One more image is done."""
        if self._bar is not None:
            self._bar.update()

    def aside(self) -> AbstractContextManager[None]:
        """While something else is printed."""
        if self._bar is None:
            return nullcontext()
        context: AbstractContextManager[None] = self._bar.external_write_mode()
        return context

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
