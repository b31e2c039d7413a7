"""lib0's variable-length encoding, strictly: what it accepts is what it would have written.

An unsigned integer goes seven bits a byte, low bits first, high bit meaning more; byte arrays and
strings are their length in bytes, then their bytes (UTF-8 for strings).
Source: https://github.com/dmonad/lib0, encoding.js and decoding.js.
"""

from collab.errors import ProtocolError, Truncated

MAX_UINT = 2**53 - 1
"""JavaScript's greatest safe integer: lib0 refuses more, and so do we."""


def write_var_uint(value: int) -> bytes:
    """Encodes an unsigned integer.

    Args:
        value: 0 to 2**53 - 1.

    Raises:
        ValueError: it is out of range.
    """
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value <= MAX_UINT:
        raise ValueError(f"expected an integer of 0 to {MAX_UINT}, got {value}")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def write_var_bytes(value: bytes) -> bytes:
    """Encodes a byte array: its length, then itself."""
    return write_var_uint(len(value)) + value


def write_var_string(value: str) -> bytes:
    """Encodes a string: its length in UTF-8 bytes, then those."""
    return write_var_bytes(value.encode())


def read_var_uint(buffer: bytes, position: int) -> tuple[int, int]:
    """Decodes an unsigned integer.

    Args:
        buffer: where to read.
        position: where it begins.

    Returns:
        The integer and the position after it.

    Raises:
        Truncated: the buffer ends inside it.
        ProtocolError: it is greater than 2**53 - 1.
    """
    try:
        byte = buffer[position]
        if byte < 0x80:
            return byte, position + 1
        value = byte & 0x7F
        shift = 7
        while True:
            position += 1
            byte = buffer[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 49:
                raise ProtocolError("expected an integer of at most 53 bits, got a longer one")
    except IndexError:
        raise Truncated(f"expected an integer, got the end at byte {len(buffer)}") from None
    if value > MAX_UINT:
        raise ProtocolError(f"expected an integer of at most {MAX_UINT}, got {value}")
    return value, position + 1


def read_var_bytes(buffer: bytes, position: int) -> tuple[bytes, int]:
    """Decodes a byte array.

    Returns:
        The bytes and the position after them.

    Raises:
        Truncated: the buffer ends before the declared length.
        ProtocolError: the length is no integer of 53 bits.
    """
    length, start = read_var_uint(buffer, position)
    end = start + length
    if end > len(buffer):
        raise Truncated(f"expected {length} bytes, got {len(buffer) - start}")
    return buffer[start:end], end


def read_var_string(buffer: bytes, position: int) -> tuple[str, int]:
    """Decodes a string.

    Returns:
        The string and the position after it.

    Raises:
        Truncated: the buffer ends before the declared length.
        ProtocolError: it is not UTF-8, or the length is no integer of 53 bits.
    """
    encoded, end = read_var_bytes(buffer, position)
    try:
        return encoded.decode(), end
    except UnicodeDecodeError as error:
        raise ProtocolError(f"expected UTF-8, got byte {error.start} of another encoding") from None


def expect_end(buffer: bytes, position: int) -> None:
    """Checks that a message ends where its last value does.

    Raises:
        ProtocolError: there is more.
    """
    if position != len(buffer):
        raise ProtocolError(f"expected the end, got {len(buffer) - position} more bytes")
