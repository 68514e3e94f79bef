"""Makes lava-nc importable on Python 3.11 and newer.

Since 3.11, a dataclass refuses an unhashable instance as a default, and one module of lava-nc 0.10 has such defaults.
While that module is imported, and for no other module, they become default factories.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

MODULE = "lava.magma.compiler.var_model"
NEEDED_FROM = (3, 11)
"""The first version of Python that needs it."""


def import_var_model() -> None:
    """Imports the module, with the shim if this Python needs it. The rest of Lava then finds it imported.

    The first attempt is without the shim: it imports what the module itself imports, so that the shim applies to
    this one module only.
    """
    if sys.version_info < NEEDED_FROM:
        importlib.import_module(MODULE)
        return
    try:
        importlib.import_module(MODULE)
    except ValueError:
        with _patch_dataclass():
            importlib.import_module(MODULE)


@contextlib.contextmanager
def _patch_dataclass() -> Iterator[None]:
    original = dataclasses.dataclass
    dataclasses.dataclass = _make_tolerant(original)
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _make_tolerant(dataclass: Callable[..., Any]) -> Callable[..., Any]:
    """A ``dataclass`` that, in that module, copies an instance given as a default for every new object."""

    @functools.wraps(dataclass)
    def decorate(cls: type | None = None, /, **options: Any) -> Any:
        if cls is None:
            return functools.partial(decorate, **options)
        if cls.__module__ == MODULE:
            for name in inspect.get_annotations(cls):
                default = cls.__dict__.get(name)
                if dataclasses.is_dataclass(default) and type(default).__hash__ is None:
                    setattr(cls, name, dataclasses.field(default_factory=functools.partial(copy.deepcopy, default)))
        return dataclass(cls, **options)

    return decorate
