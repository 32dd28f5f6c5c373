"""Seeded mutation of bytes: what transmission, disks, other programs and attackers do to files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_SIZES = (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
_NUMBERS = (
    *(b"1e999", b"-1e999", b"NaN", b"-1", b"0", b"-0.0", b"1e-320", b"91", b"361", b"1_000"),
    *(b"9223372036854775807", b"9223372036854775808", b"7" * 5000, b"", b"0x10", b"1e", b"+"),
    *("²".encode(), "٣".encode(), b"true", b"null", b'"1"', b"[]", b"{}", b"1.5", b"1e400"),
)
_PIECES = (
    *(b"\0", b'"', b"'", b"\n", b"\r", b",", b";", b"@", b":", b"\xff\xfe", b"\xe9", b"=1+1"),
    *(b"[" * 3000, b'{"a":' * 3000, b"- " * 3000, b"(" * 3000, b"../" * 50, b"&a [*a,*a]", b"!!x "),
    *(b"\xed\xa0\x80", "\u202e\u0000é".encode(), b"%s%n{0}", b"\xef\xbb\xbf", b"a" * 70_000),
)
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

Operation = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutate(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Return the seed with one to a few changes; most have one, as most damage has."""
    return _changed(seed, rng, others, _BINARY)


def mutate_text(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change a text: mostly numbers, quotes, nesting and encoding, sometimes any bytes."""
    return _changed(seed, rng, others, _TEXT)


def mutate_start(length: int) -> Callable[[bytes, Random, Sequence[bytes]], bytes]:
    """Return a `mutate` that leaves all but the first `length` bytes as they are."""

    def change(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        return mutate(seed[:length], rng, [one[:length] for one in others]) + seed[length:]

    return change


def _changed(
    seed: bytes, rng: Random, others: Sequence[bytes], operations: Sequence[Operation]
) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(operations)(data, rng, others)
    return bytes(data)


def _span(data: bytearray, rng: Random) -> slice:
    length = min(len(data), rng.choice((1, 2, 4, 8, 40, 500, 5000)))
    start = rng.randint(0, len(data) - length)
    return slice(start, start + length)


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_INTERESTING)


def _set_size(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    width = rng.choice((2, 4, 8))
    value = (rng.choice(_SIZES) % (1 << (8 * width))).to_bytes(width, rng.choice(("little", "big")))
    start = rng.randrange(len(data) + 1)
    data[start : start + width] = value


def _noise(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    span = _span(data, rng)
    data[span] = rng.randbytes(span.stop - span.start)


def _zeros(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    span = _span(data, rng)
    data[span] = bytes(span.stop - span.start)


def _truncate(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _delete(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[_span(data, rng)]


def _insert(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.choice((1, 4, 100)))


def _repeat(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    piece = data[_span(data, rng)] * rng.choice((1, 1, 2, 50))
    start = rng.randrange(len(data) + 1)
    data[start:start] = piece


def _splice(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    cut = rng.randrange(max(1, min(len(data), len(other))))
    data[cut:] = other[cut:]


def _replace_number(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    found = list(_NUMBER.finditer(data))
    if found:
        data[slice(*rng.choice(found).span())] = rng.choice(_NUMBERS)


def _insert_piece(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.choice(_PIECES)


def _swap_words(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    words = re.split(rb"(\W+)", bytes(data))
    first, second = rng.randrange(len(words)), rng.randrange(len(words))
    words[first], words[second] = words[second], words[first]
    data[:] = b"".join(words)


_BINARY = (
    *(_flip, _flip, _set, _set_size, _set_size, _noise, _zeros),
    *(_truncate, _delete, _insert, _repeat, _splice),
)
_TEXT = (
    *(_replace_number, _replace_number, _replace_number, _insert_piece, _insert_piece),
    *(_swap_words, _flip, _truncate, _delete, _repeat, _splice),
)
