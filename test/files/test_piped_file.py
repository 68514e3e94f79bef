"""What goes into the pipe is in the file; errors wait for the end."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.files.outputs import PipedFile


def test_everything_arrives(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
    piped = PipedFile(str(tmp_path / "file"))
    with open(piped.inlet, "wb") as writer:
        piped.opened()
        writer.writelines(data[start:start + 70_001] for start in range(0, len(data), 70_001))
    piped.close()
    assert (tmp_path / "file").read_bytes() == data


def test_an_error_does_not_stop_the_writer_and_is_told_at_the_end():
    piped = PipedFile("/dev/full")
    with open(piped.inlet, "wb") as writer:
        piped.opened()
        writer.write(bytes(1_000_000))
    with pytest.raises(OSError, match="No space left"):
        piped.close()
