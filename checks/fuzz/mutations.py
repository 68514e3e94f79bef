"""Damage to bytes, texts, JSON and zip archives, drawn from a random generator."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

INTEGERS = (0, 1, 2, 3, 7, 8, 16, 31, 64, 127, 128, 255, 256, 1023, 4096, 16384, 32767, 32768, 65500, 65535, 65536,
            2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
"""Ends of ranges, and sizes at which programs overflow."""

NUMBER_TEXTS = ("0", "-1", "1", "-0", "0.5", "1e5", "1e308", "1e309", "-1e309", "nan", "inf", "-inf", "1_000", "0x10",
                "", " ", "+", "-", ".", "1.", "00", "9" * 19, "9" * 20, "9" * 400, "9" * 5000, "-" + "9" * 20, "1e-400",
                "2147483648", "4294967296", "9223372036854775808", "true", "null", "\uff11\uff12", "1\0", "1,5", "1 2")
TEXTS = ("", " ", "\0", "\n", "\r", "\r\n", "\t", "\"", "'", ",", ",,,,", ";", "#", "\\", "..", "../../x",
         "/etc/passwd", "%s%n", "{}", "[", "(", "\ufeff", "\u202e", "\u2028", "\x85", "\x1b[2J", "é", "😀",
         "a" * 300, "a" * 70000, "(" * 400,
         "[" * 3000, "-" * 2000, "{'a': ", "None", "$HOME", "`id`")
BYTE_STRINGS = (b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\x80", b"\0" * 8, b"\xff" * 8)


def damage_bytes(rng: random.Random, data: bytes, most: int = 6) -> bytes:
    """Changes, removes, repeats or inserts some bytes.

    Args:
        rng: The generator.
        data: The bytes.
        most: The largest number of changes.

    Returns:
        The damaged bytes.
    """
    damaged = bytearray(data)
    for _ in range(rng.randint(1, most)):
        if not damaged:
            damaged += rng.randbytes(4)
        # Half of the changes are near the start, where headers are.
        end = len(damaged) if rng.random() < 0.5 else min(len(damaged), 64)
        at, length = rng.randrange(end), min(len(damaged), 1 << rng.randrange(12))
        action = rng.randrange(9)
        if action == 0:
            damaged[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            damaged[at] = rng.randrange(256)
        elif action == 2:
            del damaged[at:at + length]
        elif action == 3:
            start = rng.randrange(len(damaged))
            damaged[at:at] = damaged[start:start + length]
        elif action == 4:
            damaged[at:at] = rng.choice(BYTE_STRINGS) if rng.random() < 0.5 else rng.randbytes(min(length, 64))
        elif action == 5:
            del damaged[at:]
        elif action == 6:
            damaged[at:at + length] = bytes(min(length, len(damaged) - at))
        else:
            number = pack_integer(rng)
            damaged[at:at + len(number)] = number
    return bytes(damaged)


def pack_integer(rng: random.Random) -> bytes:
    """One of ``INTEGERS``, in 1, 2, 4 or 8 bytes of either byte order."""
    form = rng.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    return struct.pack(form, rng.choice(INTEGERS) & ((1 << 8 * struct.calcsize(form)) - 1))


def damage_text(rng: random.Random, text: str, separators: str = ",") -> bytes:
    """Exchanges, drops, repeats or moves cells and lines of a text.

    Args:
        rng: The generator.
        text: Lines of cells.
        separators: What separates the cells.

    Returns:
        The damaged text in UTF-8, or with bytes that are not.
    """
    lines = text.split("\n")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        cells = lines[at].split(separators)
        cell = rng.randrange(len(cells))
        action = rng.randrange(10)
        if action < 4:
            cells[cell] = rng.choice(NUMBER_TEXTS)
        elif action == 4:
            cells[cell] = rng.choice(TEXTS)
        elif action == 5:
            cells[cell] += rng.choice(TEXTS)
        elif action == 6:
            del cells[cell]
        elif action == 7:
            cells.insert(cell, rng.choice(cells))
        elif action == 8:
            lines.insert(at, rng.choice(lines))
        lines[at] = separators.join(cells) if action < 8 else lines[at]
        if action == 9 and len(lines) > 1:
            del lines[at]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        content = damage_bytes(rng, content, 2)
    return content if rng.random() < 0.95 else content.decode("utf-8", "replace").encode("utf-16")


def damage_tree(rng: random.Random, tree: Any) -> bytes:
    """Exchanges, drops or repeats parts of what a JSON text holds.

    Args:
        rng: The generator.
        tree: Dicts, lists, numbers and texts. It is not changed.

    Returns:
        The JSON text.
    """
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.randint(1, 3)):
        place: Any = tree
        while isinstance(place, (dict, list)) and place:
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
            if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.15:
                _damage_entry(rng, place, key)
                break
            place = place[key]
    text = json.dumps(tree)
    if rng.random() < 0.02:
        depth = rng.choice((100, 1000, 5000, 100_000))
        text = text.replace(rng.choice(("1", "0", "\"")), rng.choice(("[", '{"a":')) * depth, 1)
    content = text.encode("utf-8", "surrogatepass")
    return damage_bytes(rng, content, 2) if rng.random() < 0.1 else content


def _damage_entry(rng: random.Random, place: Any, key: Any) -> None:
    action = rng.randrange(8)
    if action == 0:
        del place[key]
    elif action == 1 and isinstance(place, list):
        place.insert(key, place[rng.randrange(len(place))])
    elif action == 1:
        place[rng.choice(TEXTS)] = place[key]
    elif action == 2:
        place[key] = rng.choice(TEXTS)
    elif action == 3:
        place[key] = rng.choice(NUMBER_TEXTS)
    elif action == 4:
        place[key] = rng.choice((None, True, False, [], {}, [[]], [None], {"id": 1}, [1, 2, 3], "\ud800"))
    else:
        place[key] = rng.choice((*INTEGERS, -1, -2**63, 10**30, 0.5, -0.5, 1e308, float("inf"), float("nan")))


def unpack_zip(data: bytes) -> dict[str, bytes]:
    """The members of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack_zip(members: Mapping[str, bytes] | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members, without dates; a list may have a name twice."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            archive.writestr(info, data)
    return content.getvalue()


def damage_zip(rng: random.Random, members: Mapping[str, bytes], stored_only: bool = False) -> bytes:
    """An archive with damaged members whose checksums are right, or with damage to the archive itself.

    Args:
        rng: The generator.
        members: Members by name.
        stored_only: Whether most archives are written without compression.

    Returns:
        The archive.
    """
    entries = list(members.items())
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(entries))
        name, data = entries[at]
        action = rng.randrange(12)
        if action < 6 and name.endswith(".npy"):
            data = damage_npy(rng, data)
        elif action < 9:
            data = damage_bytes(rng, data)
        elif action == 9:
            name = rng.choice((*TEXTS[5:20], name + "x", "../" + name, "/" + name)).replace("\0", "") or "x"
        elif action == 10:
            entries.insert(at, (name, data))
            continue
        else:
            data = b""
        entries[at] = (name, data)
    compression = zipfile.ZIP_STORED if stored_only or rng.random() < 0.5 else zipfile.ZIP_DEFLATED
    if rng.random() < 0.03:
        compression = rng.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    content = _pack_quietly(entries, compression)
    return damage_bytes(rng, content, 3) if rng.random() < 0.3 else content


def _pack_quietly(entries: list[tuple[str, bytes]], compression: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pack_zip(entries, compression)


_HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '|b1', 'fortran_order': False, 'shape': (",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': [('a', '<f4')], 'fortran_order': 1, 'shape': ()}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1e3,), }",
    "{'descr': '<V0', 'fortran_order': False, 'shape': (9,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (5,), }",
    "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': ()}",
    "{'descr': '<m8[ns]', 'fortran_order': False, 'shape': (), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), }",
    "{'shape': (1" + ",1" * 40, "[" * 5000, "(" * 200, "-" * 9000 + "1", "9" * 6000, "{1: 2}", "()", "'", "\n\n  1",
    "\t1\n 2", "1L", "\\", "\"\"\"", "{**{}}", "f'{1}'", "\0",
)


def damage_npy(rng: random.Random, data: bytes) -> bytes:
    """A NumPy array with another header, in a header of a right length, or with damaged bytes."""
    start = 10
    if rng.random() < 0.3 or len(data) < start:
        return damage_bytes(rng, data)
    length = int.from_bytes(data[8:10], "little")
    header, content = data[start:start + length], data[start + length:]
    if rng.random() < 0.4:
        new = rng.choice(_HEADERS).encode()
    else:
        at = rng.randrange(max(1, len(header.rstrip())))
        piece = rng.choice((*TEXTS[:24], *NUMBER_TEXTS[:16], "L", "<", ">", "O", "V", "(", ")", ":", "{")).encode()
        new = header[:at] + piece + header[at + rng.randrange(4):]
    version = rng.choice((1, 1, 1, 2, 3, 0, 255))
    size = struct.pack("<H", len(new) & 0xFFFF) if version == 1 else struct.pack("<I", len(new))
    return b"\x93NUMPY" + bytes((version, 0)) + size + new + content
