"""Our vision_msgs has the published fields, and its wheel is one that pip takes."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile

import pytest

from bootstrap.message_types import SOURCES
from bootstrap.wheel_file import pack_prefix

# vision_msgs 4.1: names and types decide whether nodes of other packages understand ours.
PUBLISHED = {
    "Point2D": {"x": "float64", "y": "float64"},
    "Pose2D": {"position": "vision_msgs/Point2D", "theta": "float64"},
    "BoundingBox2D": {"center": "vision_msgs/Pose2D", "size_x": "float64", "size_y": "float64"},
    "BoundingBox2DArray": {"header": "std_msgs/Header", "boxes": "vision_msgs/BoundingBox2D[]"},
    "ObjectHypothesis": {"class_id": "string", "score": "float64"},
    "ObjectHypothesisWithPose": {"hypothesis": "vision_msgs/ObjectHypothesis",
                                 "pose": "geometry_msgs/PoseWithCovariance"},
    "Detection2D": {"header": "std_msgs/Header", "results": "vision_msgs/ObjectHypothesisWithPose[]",
                    "bbox": "vision_msgs/BoundingBox2D", "id": "string"},
    "Detection2DArray": {"header": "std_msgs/Header", "detections": "vision_msgs/Detection2D[]"},
    "VisionClass": {"class_id": "uint16", "class_name": "string"},
    "LabelInfo": {"header": "std_msgs/Header", "class_map": "vision_msgs/VisionClass[]", "threshold": "float32"},
}


def test_the_message_files_have_the_published_fields():
    found = {}
    for path in (SOURCES / "msg").iterdir():
        lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
        found[path.stem] = [(words[1], words[0]) for words in lines if words]
    assert found == {name: list(fields.items()) for name, fields in PUBLISHED.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_installed_types_have_the_published_fields(name):
    """Of whatever vision_msgs is installed here: ours, or the one of a sourced ROS."""
    messages = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    found = getattr(messages, name).get_fields_and_field_types()
    spelled = {field: kind.replace("double", "float64").replace("sequence<", "").replace(">", "[]")
               for field, kind in found.items()}
    assert spelled == {field: kind.replace("float32", "float") for field, kind in PUBLISHED[name].items()}


def test_a_packed_prefix_is_a_wheel_that_pip_installs(tmp_path):
    prefix = tmp_path / "prefix"
    files = {"local/lib/python3/dist-packages/shapes_msgs/__init__.py": b"",
             "local/lib/python3/dist-packages/shapes_msgs/msg/__init__.py": b"SIDES = 4\n",
             "local/lib/python3/dist-packages/shapes_msgs-1.egg-info/PKG-INFO": b"left out",
             "share/shapes_msgs/msg/Square.msg": b"float64 side\n"}
    for name, content in files.items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_bytes(content)

    wheel = pack_prefix(prefix, "shapes_msgs", "1.0", tmp_path / "test_shapes-1.0-py3-none-any.whl")

    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("test_shapes-1.0.dist-info/RECORD").decode().splitlines()
        assert sorted(line.split(",")[0] for line in record) == sorted(archive.namelist())
        for name, digest, size in (line.split(",") for line in record if "RECORD" not in line):
            content = archive.read(name)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={hashed}", len(content))
    target = tmp_path / "target"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target",
                    target, wheel], check=True, capture_output=True)
    installed = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {"shapes_msgs/msg/__init__.py", "share/shapes_msgs/msg/Square.msg"} <= installed
    assert not [name for name in installed if "egg-info" in name]
