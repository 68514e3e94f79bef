"""Message definitions for a bag, taken from the message classes that are installed, vision_msgs' included."""

from __future__ import annotations

import importlib
import re

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

_RENAMED = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}
"""Names of basic types: as message classes tell them, and as a .msg file has them."""

_SEQUENCE = re.compile(r"sequence<(?P<item>.+?)(, (?P<bound>\d+))?>")
_ARRAY = re.compile(r"(?P<item>.+)\[(?P<length>\d+)\]")


def typestore_of(*message_classes: type) -> Typestore:
    """The definitions of these messages and of all that they are made of."""
    store = get_typestore(Stores.EMPTY)
    wanted = [type_name(message_class) for message_class in message_classes]
    while wanted:
        name = wanted.pop()
        if name in store.fielddefs:
            continue
        fields = _class_of(name).get_fields_and_field_types()
        lines = [f"{msg_type(kind)} {field}" for field, kind in fields.items()]
        store.register(get_types_from_msg("\n".join(lines) + "\n", name))
        wanted += [inner for kind in fields.values() if "/" in (inner := _innermost(kind))]
    return store


def type_name(message_class: type) -> str:
    """Such as ``sensor_msgs/msg/Image``."""
    return f"{message_class.__module__.partition('.')[0]}/msg/{message_class.__name__}"


def msg_type(kind: str) -> str:
    """The type as a .msg file writes it.

    >>> msg_type("sequence<vision_msgs/Detection2D>"), msg_type("double[36]"), msg_type("sequence<octet, 4>")
    ('vision_msgs/Detection2D[]', 'float64[36]', 'byte[<=4]')
    """
    if match := _SEQUENCE.fullmatch(kind):
        bound = f"<={match['bound']}" if match["bound"] else ""
        return f"{msg_type(match['item'])}[{bound}]"
    if match := _ARRAY.fullmatch(kind):
        return f"{msg_type(match['item'])}[{match['length']}]"
    text, less, bound = kind.partition("<")
    if less:
        return f"{text}<={bound.rstrip('>')}"
    return _RENAMED.get(kind, kind)


def _innermost(kind: str) -> str:
    """The full name of the type inside sequences and arrays: ``vision_msgs/msg/Detection2D``."""
    return msg_type(kind).partition("[")[0].replace("/", "/msg/")


def _class_of(name: str) -> type:
    package, _, short = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), short)
