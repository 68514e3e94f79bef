"""Packs the installed files of an interface package into a wheel, which pip can install and uninstall."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

# The type supports are opened by bare name when a message is first used. A library that is loaded already is found by
# that name whatever the search path is, so no environment has to be set up for them.
_LOAD_LIBRARIES = '''"""Message types of {name} {version}, built by the set-up of regionmask_ros."""

import ctypes
from pathlib import Path

for _library in sorted(Path(__file__).resolve().parents[3].glob("lib{name}__*.so")):
    ctypes.CDLL(str(_library))
'''


def pack_prefix(prefix: Path, name: str, version: str, wheel: Path) -> Path:
    """Writes a wheel from an installed package.

    Args:
        prefix: The installation prefix. Python modules go to the wheel's root, all other files are data files.
        name: The name of the ROS package and of its Python module.
        version: Its version.
        wheel: The file to write. Its name must be a valid name of a wheel: distribution, version, tags.

    Returns:
        ``wheel``.
    """
    modules = next(prefix.rglob(f"{name}/__init__.py")).parent.parent
    distribution = "-".join(wheel.name.split("-")[:2])
    tag = "-".join(wheel.name[:-len(".whl")].split("-")[2:])
    files = {}
    for path in sorted(prefix.rglob("*")):
        if not path.is_file() or path.suffix == ".pyc" or ".egg-info" in str(path):
            continue
        if modules in path.parents:
            files[path.relative_to(modules).as_posix()] = path.read_bytes()
        else:
            files[f"{distribution}.data/data/{path.relative_to(prefix).as_posix()}"] = path.read_bytes()
    files[f"{name}/__init__.py"] = _LOAD_LIBRARIES.format(name=name, version=version).encode()
    info = f"{distribution}.dist-info"
    project = distribution.split("-")[0].replace("_", "-")
    files[f"{info}/METADATA"] = (f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
                                 "License: Apache-2.0\n").encode()
    files[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: regionmask_ros set-up\nRoot-Is-Purelib: false\n"
                              f"Tag: {tag}\n").encode()
    record = "".join(f"{entry},sha256={_hash(content)},{len(content)}\n" for entry, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in files.items():
            archive.writestr(entry, content)
    return wheel


def _hash(content: bytes) -> str:
    """The hash of a file as RECORD wants it: URL-safe Base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
