"""Damaged and malicious checkpoints: each gives a one-line error, and nothing in the file is ever called."""

from __future__ import annotations

import os
import struct
import zipfile

import numpy as np
import pytest
from checkpoint_writer import (
    CALL,
    END,
    FLOAT_STORAGE,
    ORDERED_DICT,
    REBUILD,
    TUPLE,
    checkpoint,
    index,
    index_of,
    members_of,
    number,
    numbers,
    pack,
    small_yolo_kp,
    storage,
    tensor,
    tensors_of,
    text,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.files.safe_read import MAX_BYTES
from regionmask_ros.network.files import load_network
from regionmask_ros.network.formats.pickle_index import MAX_PICKLE_BYTES
from regionmask_ros.network.formats.torch_checkpoint import PREFIXES, STATE_DICTS

SMALL = small_yolo_kp()
SMALL_FILE = checkpoint(SMALL)
SMALL_INDEX = index_of(SMALL)
ANCHORS = tensor(storage("0", 6), 0, (1, 3, 2), (6, 2, 1))
ON_DISK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def rejection(folder, data: bytes) -> str:
    """The one line with which the file is rejected."""
    file = folder / "yolo.pt"
    file.write_bytes(data)
    with pytest.raises(UserError) as error:
        load_network(file)
    line = str(error.value)
    assert line.startswith(f"{file}: ") and line.isprintable()
    return line[len(f"{file}: ") :]


def digest_or_empty(folder, data: bytes) -> str:
    """The digest of the network, or "" when it was rejected; any other exception fails the test."""
    file = folder / "yolo.pt"
    file.write_bytes(data)
    try:
        return load_network(file).digest
    except UserError as error:
        assert str(error).startswith(f"{file}: ") and str(error).isprintable()
        return ""


@pytest.fixture(scope="module")
def small_digest(tmp_path_factory) -> str:
    digest = digest_or_empty(tmp_path_factory.mktemp("whole"), SMALL_FILE)
    assert digest
    return digest


# ------------------------------------------------------------------------------------------------------ the index
def os_call(trace) -> bytes:
    return b"c" + os.name.encode() + b"\nsystem\n(" + text(f"touch {trace}") + TUPLE + CALL


def test_a_function_call_is_rejected_and_not_executed(tmp_path):
    trace = tmp_path / "was_called"
    for value in (os_call(trace), b"(" + os_call(trace) + TUPLE, REBUILD + b"(" + os_call(trace) + TUPLE + CALL):
        line = rejection(tmp_path, checkpoint(SMALL, index({"anchors": value})))
        assert line.startswith(f"rejected, it refers to {os.name}.system; only plain tensors are supported: save ")
    assert not trace.exists()


@pytest.mark.parametrize("value, reason", [
    (b"\x8c\x08builtins\x8c\x04eval\x93", "refers to builtins.eval"),
    (b"cbuiltins\ngetattr\n", "refers to builtins.getattr"),
    (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "refers to torch._utils._rebuild_tensor_v2.__globals__"),
    (b"ctorch\nload\n", "refers to torch.load"),
    (b"c\x1b[31mred\nname\n", "refers to \\x1b[31mred.name"),
    (b"(icollections\nOrderedDict\n", "pickle opcode INST"),
    (b"\x82\x01", "pickle opcode EXT1"),
    (b")\x81", "its index is damaged, a global is missing"),
    (b"N", "no weights in it: its entries are anchors"),
    (b"]", "no weights in it: its entries are anchors"),
    (b"ctorch\ndevice\n(" + text("cpu") + TUPLE + CALL, "no weights in it: its entries are anchors"),
    (b"Pname\n", "pickle opcode PERSID"),
    (FLOAT_STORAGE + b")R", "calls torch.FloatStorage in an unusual way"),
    (b"ccollections\nOrderedDict\n(" + text("a") + TUPLE + CALL, "calls collections.OrderedDict in an unusual way"),
    (b"ctorch._utils\n_rebuild_parameter\n)R", "calls torch._utils._rebuild_parameter in an unusual way"),
    (tensor(storage("0", 6, b"ctorch\nHalfStorage\n"), 0, (6,), (1,)), "anchors is float16; only float32 tensors"),
    (tensor(storage("0", 6, b"ctorch\nBFloat16Storage\n"), 0, (6,), (1,)), "tensor anchors is bfloat16"),
    (storage("0", 6, b"ctorch\nQInt8Storage\n"), "it refers to torch.QInt8Storage"),
    (storage("0", 6, REBUILD), "not a storage"),
    (b"(" + text("storage") + FLOAT_STORAGE + text("0") + TUPLE + b"Q", "not a storage"),
    (b"(" + text("module") + FLOAT_STORAGE + text("0") + text("cpu") + number(6) + TUPLE + b"Q", "not a storage"),
    (b"(" + text("storage") + FLOAT_STORAGE + text("0") + text("cpu") + number(-6) + TUPLE + b"Q", "name or size"),
    (storage("0", 6), "no weights in it: its entries are anchors"),
    (number(1), "no weights in it: its entries are anchors"),
    (ORDERED_DICT, "no weights in it: its entries are anchors"),
    (tensor(number(6), 0, (1, 3, 2), (6, 2, 1)), "a tensor has no storage"),
    (tensor(storage("0", 6), 0, (1, 3, 2), (6, 2)), "no valid shape"),
    (tensor(storage("0", 6), 0, (1,) * 9, (1,) * 9), "no valid shape"),
    (tensor(storage("0", 6), -1, (1, 3, 2), (6, 2, 1)), "impossible"),
    (tensor(storage("0", 6), 5, (1, 3, 2), (6, -2, 1)), "impossible"),
    (tensor(storage("0", 6), 0, (1, -3, 2), (6, 2, 1)), "impossible"),
    (tensor(storage("0", 6), 0, (1, 0, 2), (6, 2, 1)), "impossible"),
    (tensor(storage("0", 6), 1, (1, 3, 2), (6, 2, 1)), "reaches beyond its storage of 6 values"),
    (tensor(storage("0", 6), 0, (1, 3, 2), (6, 3, 1)), "reaches beyond its storage"),
    (tensor(storage("0", 6), 0, (2**31 - 1,) * 8, (0,) * 8), "reaches beyond its storage"),
    (tensor(storage("0", 6), 0, (2**31 - 1,) * 8, (2**31 - 1,) * 8), "reaches beyond its storage"),
    (tensor(storage("99", 6), 0, (1, 3, 2), (6, 2, 1)), "net/data/99 is missing"),
    (tensor(storage("../version", 6), 0, (1, 3, 2), (6, 2, 1)), "net/data/../version is missing"),
    (tensor(storage("0", 2**31 - 1), 0, (1, 3, 2), (6, 2, 1)), "has 24 bytes for 2147483647 float32 values"),
    (b"h\x07", "reads a memo slot that was never written"),
    (b"R", "is missing"),
    (b"e", "a list is missing"),
    (number(1) + b"a", "a list is missing"),
    (b"t", "a mark is missing"),
    (b"\x85s", "is missing"),
    (b"00", "pickle opcode POP"),
    (b"X\xff\xff\xff\x7fabc", "index is damaged"),
    (b"L" + b"9" * 5000 + b"L\n", "index is damaged|pickle opcode LONG"),
    (b"\xff", "index is damaged"),
    (b"codd\\%\nname\n", "index is damaged|refers to odd"),
])
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_an_index_with_anything_but_plain_tensors_is_rejected(tmp_path, value, reason):
    line = rejection(tmp_path, checkpoint(SMALL, index({"anchors": value})))
    assert any(wanted in line for wanted in reason.split("|")), line


@pytest.mark.parametrize("pickled, reason", [
    (b"", "index is damaged"),
    (b"\x80\x02}", "index is damaged"),
    (b"\x80\x02.", "is not a dict of tensors"),
    (b"\x80\x02)" + END, "is not a dict of tensors"),
    (b"\x80\x02}}" + END, "is not a dict of tensors"),
    (b"\x80\x02}" + END, "no weights in it: its entries are none; expected tensors by name"),
    (b"\x80\x02}(" + number(1) + ANCHORS + b"u" + END, "no tensor input_blocks.0.neuron.delta.threshold: not a YOLO"),
    (b"\x80\x02}(N" + ANCHORS + b"u" + END, "a key in it is neither a text nor an integer"),
    (b"\x80\x02}(" + text("a") + b"u" + END, "a key in it is neither a text nor an integer"),
    (b"\x80\x02}" + text("state_dict") + ORDERED_DICT + b"s" + END, "no weights in it: its entries are state_dict"),
    (b"\x80\x02}" + b"q\x00" + text("ema") + b"h\x00s" + END, "no weights in it: its entries are ema"),
    (b"\x80\x02cargparse\nNamespace\n)\x81" + END, "it is not a dict of tensors, but argparse.Namespace"),
    (b"\x80\x02" + text("a") * (MAX_PICKLE_BYTES // 6 + 1) + END, "larger than 1024 kB"),
])
def test_an_index_that_is_not_a_state_dict_is_rejected(tmp_path, pickled, reason):
    assert reason in rejection(tmp_path, checkpoint(SMALL, pickled))


def test_a_name_with_line_breaks_gives_one_printable_line(tmp_path):
    line = rejection(tmp_path, checkpoint(SMALL, index({"first\nsecond\r\x1b[2J\u2028\u202e": number(1)})))
    assert "first\\nsecond\\r\\x1b[2J\\u2028\\u202e" in line


def test_deeply_nested_values_need_no_time_and_no_stack(tmp_path):
    doubled = b")" + b"q\x00h\x00\x86" * 20_000
    as_value = index({"anchors": doubled})
    assert "no weights in it: its entries are anchors" in rejection(tmp_path, checkpoint(SMALL, as_value))
    as_key = b"\x80\x02}" + doubled + number(1) + b"s" + END
    assert "a key in it is neither a text" in rejection(tmp_path, checkpoint(SMALL, as_key))


def test_the_index_formats_of_newer_torch_versions_are_read(tmp_path, small_digest):
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + ANCHORS + b"\x88" + ORDERED_DICT + TUPLE + CALL
    entry = text("anchors") + ANCHORS
    assert entry in SMALL_INDEX
    notes = b"}" + text("_metadata") + ORDERED_DICT + text("") + b"}" + text("version") + number(1) + b"sssb"
    memo = text("torch._utils") + b"\x94" + text("_rebuild_tensor_v2") + b"\x93\x94"
    for pickled in (
        SMALL_INDEX.replace(entry, text("anchors") + parameter),
        SMALL_INDEX[: -len(END)] + notes + END,
        SMALL_INDEX.replace(entry, text("anchors") + memo + ANCHORS[len(REBUILD) :]),
    ):
        assert digest_or_empty(tmp_path, checkpoint(SMALL, pickled)) == small_digest


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path, small_digest):
    name = "heads.0.weight"
    turned = {**SMALL, name: np.ascontiguousarray(SMALL[name].transpose(1, 0, 2, 3, 4))}
    key, (out, channels) = list(SMALL).index(name), SMALL[name].shape[:2]
    plain = tensor(storage(str(key), out * channels), 0, (out, channels, 1, 1, 1), (channels, 1, 1, 1, 1))
    by_stride = tensor(storage(str(key), out * channels), 0, (out, channels, 1, 1, 1), (1, out, 1, 1, 1))
    assert plain in SMALL_INDEX
    pickled = SMALL_INDEX.replace(plain, by_stride)
    assert digest_or_empty(tmp_path, checkpoint(turned, pickled)) == small_digest


@given(st.lists(st.sampled_from(STATE_DICTS), max_size=3), st.lists(st.sampled_from(PREFIXES), max_size=3),
       st.dictionaries(st.sampled_from(["epoch", "optimizer", "best", "loss"]), st.sampled_from(
           [number(1), b"N", b"]", b"}", b"ctorch\nSize\n)R", ANCHORS, tensor(storage("x", 1), 0, (), ())])))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_are_found_in_any_wrapping(tmp_path, small_digest, path, prefixes, beside):
    wrapped = index({"".join(prefixes) + name: value for name, value in tensors_of(SMALL).items()})[2:-1]
    for place, name in enumerate(reversed(path)):
        is_outermost = place == len(path) - 1
        wrapped = index({**(beside if is_outermost else {}), name: wrapped})[2:-1]
    assert digest_or_empty(tmp_path, checkpoint(SMALL, b"\x80\x02" + wrapped + END)) == small_digest


# ---------------------------------------------------------------------------------------------------- the archive
@pytest.mark.parametrize("data, reason", [
    (b"", "empty file"),
    (b"\x80\x02\x8a\x0a" + b"x" * 99, "a checkpoint of PyTorch before 1.6, or another Python pickle, which is"),
    (b"PK\0", "not a torch zip checkpoint (first bytes 50 4b 00)"),
    (b"PK\x03\x04", "truncated or damaged zip archive"),
    (SMALL_FILE[:2000], "truncated or damaged zip archive"),
    (pack({"readme.txt": b"hello"}), "a zip archive with no data.pkl"),
    (pack({"data.pkl": SMALL_INDEX}), "a zip archive with no data.pkl"),
    (pack({"a/data.pkl": SMALL_INDEX, "b/data.pkl": SMALL_INDEX}), "a zip archive with 2 data.pkl"),
    (pack({"net/data.pkl": b"\x80\x02}.", "net/code/__torch__.py": b"x"}), "TorchScript, which is a program"),
    (pack(members_of(SMALL), zipfile.ZIP_DEFLATED), "net/data.pkl in it is compressed"),
    (pack({**members_of(SMALL), "net/byteorder": b"big"}), "its byte order is b'big'"),
    (pack({**members_of(SMALL), "net/data/0": b"\0" * 20}), "net/data/0 has 20 bytes for 6 float32 values"),
    (pack({**members_of(SMALL), "net/data/0": b"\0" * 25}), "net/data/0 has 25 bytes for 6 float32 values"),
])
def test_an_archive_that_is_not_a_checkpoint_is_rejected(tmp_path, data, reason):
    assert reason in rejection(tmp_path, data)


def test_a_checkpoint_that_states_little_endian_is_read(tmp_path, small_digest):
    assert digest_or_empty(tmp_path, pack({**members_of(SMALL), "net/byteorder": b"little"})) == small_digest


def test_a_duplicate_member_is_rejected(tmp_path):
    decoy = pack({**members_of(SMALL), "net/data/x": SMALL["anchors"].tobytes()})
    assert "net/data/0 is in it twice" in rejection(tmp_path, decoy.replace(b"net/data/x", b"net/data/0"))


def directory_entry(data: bytes, name: bytes) -> int:
    """Offset of a member's entry in the archive's directory."""
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    return at


def test_a_member_that_claims_a_huge_size_is_rejected(tmp_path):
    data = bytearray(SMALL_FILE)
    at = directory_entry(SMALL_FILE, b"net/data/0")
    data[at + 20 : at + 28] = struct.pack("<II", MAX_BYTES, MAX_BYTES)
    assert "claim more bytes than the file has" in rejection(tmp_path, bytes(data))


def test_a_damaged_value_is_found_by_its_checksum(tmp_path):
    values = SMALL["heads.0.weight"].tobytes()
    at = SMALL_FILE.index(values)
    damaged = SMALL_FILE[:at] + bytes([SMALL_FILE[at] ^ 1]) + SMALL_FILE[at + 1 :]
    assert "cannot be read" in rejection(tmp_path, damaged)


def test_an_encrypted_member_is_rejected(tmp_path):
    data = bytearray(SMALL_FILE)
    data[directory_entry(SMALL_FILE, b"net/data.pkl") + 8] |= 1
    assert "net/data.pkl cannot be read" in rejection(tmp_path, bytes(data))


def test_every_truncated_checkpoint_is_rejected(tmp_path):
    assert len(SMALL_FILE) > 10_000
    for length in {*range(0, len(SMALL_FILE), 97), *range(len(SMALL_FILE) - 30, len(SMALL_FILE))}:
        assert rejection(tmp_path, SMALL_FILE[:length])


@ON_DISK
@given(flips=st.lists(st.integers(0, 8 * len(SMALL_FILE) - 1), min_size=1, max_size=3))
def test_flipped_bits_are_rejected_or_change_nothing(tmp_path, small_digest, flips):
    data = bytearray(SMALL_FILE)
    for bit in flips:
        data[bit // 8] ^= 1 << bit % 8
    assert digest_or_empty(tmp_path, bytes(data)) in ("", small_digest)


@ON_DISK
@given(at=st.integers(0, len(SMALL_INDEX) - 1), cut=st.integers(0, 8), patch=st.binary(max_size=8))
def test_a_patched_index_with_valid_checksums_is_rejected_or_read(tmp_path, at, cut, patch):
    digest_or_empty(tmp_path, checkpoint(SMALL, SMALL_INDEX[:at] + patch + SMALL_INDEX[at + cut :]))


@ON_DISK
@given(parts=st.lists(st.sampled_from([
    b"}", b")", b"(", b"t", b"\x85", b"\x86", b"\x87", b"s", b"u", b"R", b"Q", b"b", b"q\x00", b"h\x00", b"\x94",
    b"\x88", ANCHORS, ORDERED_DICT, REBUILD, FLOAT_STORAGE, text("storage"), text("0"), number(6), storage("0", 6),
    numbers((1, 3, 2)),
]), max_size=30))
def test_any_sequence_of_known_opcodes_is_rejected_or_read(tmp_path, parts):
    digest_or_empty(tmp_path, checkpoint(SMALL, b"\x80\x02" + b"".join(parts) + END))


@ON_DISK
@given(data=st.binary(max_size=200))
def test_random_bytes_are_rejected(tmp_path, data):
    assert rejection(tmp_path, data)
