"""The pipeline's end of the socket to the worker process."""

from __future__ import annotations

import socket
import sys
import threading

import pytest

from regionmask_ros.backends.base import BackendError
from regionmask_ros.backends.worker_process import PYTHON_VARIABLE, Connection, find_lava_python
from regionmask_ros.lava_worker.protocol import ProtocolError, pack


def test_two_ends_that_send_large_messages_at_once_do_not_block_each_other():
    ends = [Connection(end, 1 << 25) for end in socket.socketpair()]
    body, received = bytes(1 << 24), []

    def exchange(end: Connection) -> None:
        end.send(pack(1, body), 10.0)
        received.append(end.receive(10.0))

    threads = [threading.Thread(target=exchange, args=(end,), daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert [message.body == body for message in received] == [True, True]
    for end in ends:
        end.close()


def test_a_closed_end_is_noticed_at_once():
    here, there = (Connection(end, 100) for end in socket.socketpair())
    there.send(pack(3), 1.0)
    there.close()
    assert here.receive(1.0).kind == 3
    with pytest.raises(ProtocolError, match="ended"):
        here.receive(60.0)
    with pytest.raises(ProtocolError, match="ended"):
        here.send(pack(1, bytes(1 << 20)), 60.0)
    here.close()


def test_sending_to_an_end_that_reads_nothing_times_out():
    here, there = socket.socketpair()
    with pytest.raises(ProtocolError, match="read no data"):
        Connection(here, 100).send(pack(1, bytes(1 << 24)), 0.2)
    there.close()
    here.close()


def test_an_interpreter_in_a_data_folder_that_others_can_write_is_not_started(tmp_path, monkeypatch):
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))
    python = tmp_path / "regionmask_ros" / "lava" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_lava_python() == python
    python.parents[1].chmod(0o777)
    with pytest.raises(BackendError, match="not started, because other users can write"):
        find_lava_python()
