"""The library's log lines for the logging module. Silent until asked for."""

from __future__ import annotations

import atexit
import logging

from . import _abi, _answers
from ._arguments import whole, wrong_type
from ._errors import LivenessError

_PYTHON_LEVELS = {
    _abi.LOG_ERROR: logging.ERROR,
    _abi.LOG_WARN: logging.WARNING,
    _abi.LOG_INFO: logging.INFO,
    _abi.LOG_DEBUG: logging.DEBUG,
}

_logger = logging.getLogger("liveness")


def enable_logging(level: int = logging.INFO, logger: logging.Logger | None = None) -> None:
    """Sends the library's log lines, of all engines of the process, to a logger.

    ``level`` is one of the logging module: ERROR for code 005, WARNING also for 004, INFO also
    which engine and models are used, DEBUG also every verdict and every refused image. No pixel
    and no file name is ever logged. ``logger`` is ``logging.getLogger("liveness")`` by default;
    its own level and handlers decide further. A later call replaces an earlier one.

    The lines come on the thread that checks, while the check runs, so handlers should be quick.
    """
    if logger is not None and not hasattr(logger, "log"):
        raise wrong_type("logger", logger, "a logging.Logger, or None")
    global _logger  # noqa: PLW0603 (as the callback of the library, it belongs to the process)
    native, former = _native_level(level), _logger
    # Before the library knows: a line that it writes at once must not go to the former logger.
    _logger = logger if logger is not None else logging.getLogger("liveness")
    try:
        _set(_CALLBACK, native)
    except LivenessError:
        _logger = former
        raise
    # Threads that still check while the interpreter ends must not call into it. Not registered by
    # importing the package: the end of a subinterpreter that only did so ends no log.
    atexit.unregister(disable_logging)
    atexit.register(disable_logging)


def disable_logging() -> None:
    """Makes the library silent again; when this returns, no line is under way."""
    _set(_abi.LogCallback(), _abi.LOG_OFF)


def _native_level(level: int) -> int:
    """The most talkative level of the library that is not below the one given."""
    level = whole("level", level, "one of the logging module, such as logging.DEBUG")
    allowed = [native for native, python in _PYTHON_LEVELS.items() if python >= level]
    return max(allowed, default=_abi.LOG_OFF)


def _set(callback: object, level: int) -> None:
    status: int = _abi.lib.liveness_set_log_callback(callback, None, level)
    if status != _abi.OK:
        raise _answers.error(status, _abi.last_error())


def _log(_user: int | None, level: int, message: bytes) -> None:
    _logger.log(_PYTHON_LEVELS.get(level, logging.ERROR), "%s", message.decode(errors="replace"))


# One callback for the life of the process: the library may call it on any thread until it is
# told not to.
_CALLBACK = _abi.LogCallback(_log)
