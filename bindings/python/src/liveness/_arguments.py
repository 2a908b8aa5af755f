"""What is said of an argument of a wrong type: its name, its type, and what to give instead."""

from __future__ import annotations

import operator
from typing import Any


def wrong_type(name: str, value: object, takes: str) -> TypeError:
    """The error to raise; Python's own would not name the argument."""
    return TypeError(f"{name} is a {type(value).__name__}; give {takes}")


def whole(name: str, value: Any, takes: str) -> int:
    """An int, or what stands for one, as numpy's do. A truth value counts as a mistake."""
    if isinstance(value, bool):
        raise wrong_type(name, value, takes)
    try:
        return operator.index(value)
    except TypeError:
        raise wrong_type(name, value, takes) from None
