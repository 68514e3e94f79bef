"""The input size of a bag's images, known before the first of them comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from regionmask_ros.ros.parameter_files import input_size_for

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "detector.yaml"


@pytest.mark.parametrize(("content", "size"), [
    (None, "640x480"),
    ("", "640x480"),
    ("/**: {ros__parameters: {max_pixels: 76800}}", "288x224"),
    ("front: {detector: {ros__parameters: {max_pixels: 76800}}}", "288x224"),
    ("/**: {ros__parameters: {input_size: 448x448}}", ""),
    ("/**: {ros__parameters: {input_size: auto}}\n/detector: {ros__parameters: {input_size: 448x448}}", ""),
    ("/**: {ros__parameters: {max_pixels: many}}", ""),
    ("/**: {ros__parameters: {max_pixels: 1}}", ""),
    ("/**: [", ""),
    ("a: !!python/object/apply:os.system [x]", ""),
])
def test_what_an_automatic_size_comes_to(tmp_path, content, size):
    file = SHIPPED
    if content is not None:
        file = tmp_path / "my.yaml"
        file.write_text(content)
    assert input_size_for(str(file), (640, 480)) == size


def test_a_file_that_is_missing_is_the_nodes_to_tell(tmp_path):
    assert input_size_for(str(tmp_path / "none.yaml"), (640, 480)) == ""
