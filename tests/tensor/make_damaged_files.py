"""Makes damaged/: small files of weights that mean harm or make no sense, for tests/tensor/test_damaged_files.cpp and as seeds of tests/fuzz.

python3 tests/tensor/make_damaged_files.py     (the standard library is enough)

Every file must be refused with an error, but for those whose names begin with inert_: there nothing harmful is ever looked at.
"""
import json
import pathlib
import pickle
import struct
import zlib

out = pathlib.Path(__file__).with_name("damaged")
out.mkdir(exist_ok=True)


# ---- safetensors

def safetensors(name, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (out / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


safetensors("header_of_exabytes", {"a": entry([2], 0, 8)}, bytes(8), length=2**63)
safetensors("header_of_gigabytes", {"a": entry([2], 0, 8)}, bytes(8), length=3 * 2**30)
safetensors("header_longer_than_file", {"a": entry([2], 0, 8)}, length=5000)
safetensors("offsets_overlap", {"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12))
safetensors("offsets_out_of_range", {"a": entry([2], 8, 16)}, bytes(8))
safetensors("offsets_huge", {"a": entry([2], 2**64 - 8, 2**64 - 1)}, bytes(8))
safetensors("offsets_backwards", {"a": entry([2], 8, 0)}, bytes(8))
safetensors("offsets_gap", {"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, bytes(20))
safetensors("data_left_over", {"a": entry([2], 0, 8)}, bytes(16))
safetensors("shape_overflows", {"a": entry([2**32, 2**32, 4], 0, 0)})
safetensors("shape_absurd", {"a": entry([2**62, 2**62], 0, 8)}, bytes(8))
safetensors("shape_negative", {"a": entry([-1, -2], 0, 8)}, bytes(8))
safetensors("shape_not_whole", {"a": entry([1.5], 0, 6)}, bytes(6))
safetensors("shape_of_many_axes", {"a": entry([1] * 3000, 0, 4)}, bytes(4))
safetensors("dtype_unknown", {"a": entry([2], 0, 8, "F3")}, bytes(8))
safetensors("name_twice", b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4))
safetensors("nested_deeply", b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}")
safetensors("metadata_not_text", {"__metadata__": {"a": [1]}})
safetensors("not_json", b"{\xff\xfe}")


# ---- zip archives

def archive(name, members, compressed=(), at=None, count=None, crash=b""):
    """members: (name, content). at: where the directory says that a member is; count: how many there are, it says."""
    body, directory = b"", b""
    for i, (member, content) in enumerate(members):
        method, stored = (8, zlib.compress(content, 9)[2:-4]) if member in compressed else (0, content)
        common = struct.pack("<HHHHHIIIH", 20, 0, method, 0, 0x21, zlib.crc32(content), len(stored), len(content), len(member))
        place = len(body) if at is None else at[i]
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHHII", 0, 0, 0, 0, 0, place) + member.encode()
        body += b"PK\x03\x04" + common + struct.pack("<H", 0) + member.encode() + stored
    n = len(members) if count is None else count
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, n, n, len(directory), len(body), 0)
    (out / f"{name}.pth").write_bytes(body + crash + directory + end)


GLOBAL = {"v2": b"ctorch._utils\n_rebuild_tensor_v2\n", "float": b"ctorch\nFloatStorage\n", "dict": b"ccollections\nOrderedDict\n"}


def number(n):
    if 0 <= n < 2**31:
        return b"J" + struct.pack("<i", n)
    length = n.bit_length() // 8 + 1
    return b"\x8a" + bytes([length]) + n.to_bytes(length, "little", signed=True)


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(size=(2,), stride=(1,), offset=0, elements=2, key="0", storage=None):
    storage = storage or b"(" + text("storage") + GLOBAL["float"] + text(key) + text("cpu") + number(elements) + b"tQ"
    return GLOBAL["v2"] + b"(" + storage + number(offset) + numbers(size) + numbers(stride) + b"\x89" + GLOBAL["dict"] + b")RtR"


def program(value):
    return b"\x80\x02}(" + text("w") + value + b"u."


def pth(name, value, data=bytes(8), raw=False):
    archive(name, [("a/data.pkl", value if raw else program(value)), ("a/data/0", data), ("a/version", b"3\n")])


SYSTEM = b"cposix\nsystem\n" + text("touch /tmp/fovea_was_here") + b"\x85R"
pth("inert_call_of_a_function", tensor() + text("args") + SYSTEM)   # beside the tensors: never made
pth("inert_call_at_the_top", b"\x80\x02" + SYSTEM + b".", raw=True)
pth("function_as_storage", tensor(storage=SYSTEM))
pth("function_as_size", GLOBAL["v2"] + b"((" + text("storage") + GLOBAL["float"] + text("0") + text("cpu") + number(2) + b"tQ" + number(0) + SYSTEM
    + numbers([1]) + b"\x89" + GLOBAL["dict"] + b")RtR")
pth("size_absurd", tensor((2**40, 2**40), (1, 1)))
pth("size_negative", tensor((-2,)))
pth("size_of_many_axes", tensor((1,) * 200, (1,) * 200))
pth("expanded_without_bound", tensor((2**38,), (0,)))   # stride 0: one number, a terabyte long
pth("stride_out_of_storage", tensor((2,), (5,)))
pth("stride_huge", tensor((3,), (2**62,)))
pth("offset_out_of_storage", tensor(offset=7))
pth("offset_negative", tensor(offset=-1))
pth("storage_longer_than_its_data", tensor((4,), (1,), elements=4))
pth("storage_missing", tensor(key="9"))
pth("storage_of_unknown_type", tensor().replace(b"FloatStorage", b"ChaosStorage"))
pth("pickle_cut", program(tensor())[:-20], raw=True)
pth("pickle_empty_stack", b"\x80\x02R.", raw=True)
pth("pickle_unknown_instruction", b"\x80\x02\xff.", raw=True)
pth("pickle_text_of_exabytes", b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b".", raw=True)
pth("pickle_long_of_gigabytes", b"\x80\x02\x8b" + struct.pack("<I", 2**31) + b".", raw=True)
pth("pickle_memo_is_empty", b"\x80\x02h\x07.", raw=True)
LAUGHS = b"\x80\x02" + b"".join([b"](" + (b"N" * 10 if i == 0 else b"h" + bytes([i - 1]) + (b"h" + bytes([i - 1])) * 9) + b"eq" + bytes([i])
                                 for i in range(12)]) + b"."
pth("pickle_billion_laughs", LAUGHS, raw=True)
pth("pickle_of_itself", b"\x80\x02}q\x00(" + text("w") + b"h\x00u.", raw=True)
pth("pickle_copies_arguments", b"\x80\x02Nq\x00(" + b"h\x00" * 6000 + b"tq\x01cm\nf\nq\x02" + b"h\x02h\x01R0" * 2000 + b"N.", raw=True)
pth("pickle_joins_long_names", b"\x80\x02" + text("x" * 9000) + b"q\x00" + b"h\x00h\x00\x930" * 2000 + b"N.", raw=True)
pth("pickle_long_keys", b"\x80\x02" + text("k" * 3000) + b"q\x00" + b"0}(h\x00" + tensor() + b"u.", raw=True)

content = program(tensor())
archive("zip_bomb", [("a/data.pkl", content), ("a/data/0", bytes(1 << 20))], compressed=("a/data/0",))
archive("zip_pickle_compressed", [("a/data.pkl", content), ("a/data/0", bytes(8))], compressed=("a/data.pkl",))
archive("zip_members_overlap", [("a/data.pkl", content), ("b/data.pkl", content)], at=[0, 0])
archive("zip_member_outside", [("a/data.pkl", content), ("a/data/0", bytes(8))], at=[0, 2**31])
archive("zip_many_members", [("a/data.pkl", content)], count=65535)
archive("zip_name_twice", [("a/data.pkl", content), ("a/data.pkl", content)])
archive("zip_without_pickle", [("a/data/0", bytes(8))])
archive("zip_big_endian", [("a/data.pkl", content), ("a/data/0", bytes(8)), ("a/byteorder", b"big")])
good = (out / "zip_big_endian.pth").read_bytes()
(out / "zip_cut.pth").write_bytes(good[: len(good) // 2])
(out / "zip64_absurd.pth").write_bytes(good[:4] + bytes(56) + b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**60, 2**60, 2**62, 8)
                                       + b"PK\x06\x07" + struct.pack("<IQI", 0, 60, 1) + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))


# ---- the legacy form

def legacy(name, storages, sizes, tail=b"", keys=None):
    magic, protocol, machine = (pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    data = b"".join(struct.pack("<q", n) + bytes(8) for n in sizes)
    (out / f"{name}.pth").write_bytes(magic + protocol + machine + program(storages) + (keys or pickle.dumps(["0"], 2)) + data + tail)


old = tensor().replace(number(2) + b"tQ", number(2) + b"NtQ")
legacy("legacy_storage_of_exabytes", old, [2**60])
legacy("legacy_storage_negative", old, [-1])
legacy("legacy_storage_too_small", old, [1])
legacy("legacy_function_as_storage", tensor(storage=SYSTEM), [2])
legacy("legacy_keys_are_no_list", old, [2], keys=pickle.dumps({"a": 1}, 2))
legacy("legacy_key_unknown", old, [2], keys=pickle.dumps(["5"], 2))

# ---- neither
(out / "empty.pth").write_bytes(b"")
(out / "text.pth").write_bytes(b"not a file of weights\n")
(out / "half_a_pickle.pth").write_bytes(b"\x80\x02")
print(len(list(out.iterdir())), "files,", sum(f.stat().st_size for f in out.iterdir()), "bytes")
