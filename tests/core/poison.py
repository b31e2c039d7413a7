"""Updates that a hostile or broken client may send, each a few bytes."""

from collab.lib0 import write_var_bytes, write_var_string, write_var_uint


def update_of(*struct: bytes, client: int = 9, clock: int = 0, deletions: bytes = b"\x00") -> bytes:
    """An update of one struct, or of none."""
    if not struct:
        return b"\x00" + deletions
    head = b"\x01\x01" + write_var_uint(client) + write_var_uint(clock)
    return head + b"".join(struct) + deletions


def in_root(reference: int, content: bytes, root: str = "text") -> bytes:
    """A struct at the beginning of a root."""
    return bytes((reference,)) + b"\x01" + write_var_string(root) + content


HELLO = update_of(in_root(4, write_var_string("hello")), client=1)
"""Somebody writes "hello" as client 1."""

CHILD_OF_A_STRING = update_of(b"\x04\x00\x01\x00" + write_var_string("x"))
"""Decodes, but once ``HELLO`` is there yrs raises RuntimeError: a string has no children."""

UNDECODABLE = {
    "nothing": b"",
    "noise": b"\xff" * 40,
    "a rest": b"\x00\x00\x00",
    "2**31 clients": b"\xff\xff\xff\xff\x07",
    "2**31 structs": b"\x01\xff\xff\xff\xff\x07\x05\x00",
    "2**31 values": update_of(in_root(8, b"\xff\xff\xff\xff\x07")),
    "2**31 deletions": b"\x00\x01\x05\xff\xff\xff\xff\x07",
    "no UTF-8": update_of(in_root(4, write_var_bytes(b"\xff\xfe"))),
}
"""Bytes that are no update, some of which declare what would fill the memory."""

UNKEEPABLE = {
    "values nested to overflow the stack": update_of(
        in_root(8, b"\x01" + b"\x75\x01" * 200_000 + b"\x7e")
    ),
    "JSON nested to overflow the stack": update_of(
        in_root(5, write_var_bytes(b"[" * 200_000 + b"]" * 200_000))
    ),
    "no values": update_of(in_root(8, b"\x00")),
    "an empty string": update_of(in_root(4, b"\x00")),
    "JSON content": update_of(in_root(2, b"\x01" + write_var_string('"x"'))),
    "deletions that overlap": update_of(deletions=b"\x01\x05\x02\x00\x04\x02\x04"),
    "deletions in no order": update_of(deletions=b"\x01\x05\x02\x04\x01\x00\x01"),
    "a deletion of nothing": update_of(deletions=b"\x01\x05\x01\x04\x00"),
    "deletions of a client in two places": update_of(deletions=b"\x02\x05\x01\x00\x01\x05\x00"),
    "a type Yjs does not know": update_of(in_root(7, b"\x0f")),
    "content Yjs does not know": update_of(in_root(11, b"\x00\x01\x00\x00")),
    "a clock that begins anew": update_of(b"\x84\x01\x00\x01a", client=1, clock=2**32),
}
"""What yrs takes, or dies of, and what would break its own encoding or other clients."""

PAIR = bytes.fromhex("0101cce987d60900040101740661f09f98806200")
"""Yjs 13 after ``insert(0, "a😀b")``: the second character is a pair in UTF-16."""
HALF_OF_IT_REPLACED = bytes.fromhex(
    "0101cce987d60904c4cce987d60902cce987d6090303efbfbd01cce987d609010201"
)
"""Then after ``delete(2, 1)`` and ``insert(2, "\\ude01")``, as programs do that compare by unit."""
PAIR_AS_YJS_HAS_IT = bytes.fromhex(
    "0104cce987d60900040101740461efbfbd81cce987d609010184cce987d609020162c4cce987d60902"
    "cce987d6090303efbfbd01cce987d609010201"
)
"""And what the document has become for clients."""
