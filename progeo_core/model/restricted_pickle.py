"""Pickles read as data: what they name is looked up in a table, never imported or called.

A pickle is a program for a small stack machine. This one knows the instructions that weights are
written with, and nothing else: each is interpreted here, and takes time and memory in proportion to
its own length, whatever the file claims.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

# Training of the largest CLIP takes some 100,000 instructions.
_MAX_BYTES, _MAX_STEPS = 1 << 24, 1_000_000
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "SHORT_BINSTRING"),
}
_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_COLLECTING = {"MARK", "TUPLE", "APPEND", "APPENDS", "SETITEM", "SETITEMS"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Name(NamedTuple):
    """Class or function that a pickle names: "module.attribute"."""

    path: str


@dataclasses.dataclass
class PickledObject:
    """Object of a class that is not known here: the name of the class, and what was pickled."""

    kind: str
    state: Any = None


def _nothing_outside(identification: Any) -> object:
    raise ValueError("its pickle refers to something outside of it")


def read_pickle(
    file: BinaryIO,
    builders: Mapping[str, Callable[..., object]],
    load_persistent: Callable[[Any], object] = _nothing_outside,
    class_prefix: str = "",
) -> Any:
    """Return the object that a pickle describes, and leave the file where the pickle ends.

    builders: what to call in place of the functions that a pickle names. load_persistent: returns
    what stands outside of the pickle, by its identification. class_prefix: names that begin so are
    classes, whose objects become `PickledObject`; "" knows none. Raises `ValueError` for
    other names and instructions, and any exception for a damaged pickle.
    """
    return _Machine(builders, load_persistent, class_prefix).run(file)


class _Machine:
    """Stack machine with the part of pickle's instructions that weights are written with."""

    def __init__(
        self,
        builders: Mapping[str, Callable[..., object]],
        load_persistent: Callable[[Any], object],
        class_prefix: str,
    ) -> None:
        self._builders, self._load_persistent = builders, load_persistent
        self._class_prefix = class_prefix
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        end = file.tell() + _MAX_BYTES
        # This goes through the file by its readers, which go no further than the last instruction.
        operations: Iterator[Any] = pickletools.genops(file)
        for (opcode, argument, position), _ in zip(operations, range(_MAX_STEPS), strict=False):
            if position > end:
                break
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("its pickle is longer than weights need")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _COLLECTING:
            self._collect(name)
        elif name not in ("PROTO", "FRAME"):
            self._build(name, argument)

    def _collect(self, name: str) -> None:
        stack = self._stack
        match name:
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "TUPLE":
                marked = self._pop_marked()
                self._stack.append(tuple(marked))
            case "APPEND":
                item = stack.pop()
                _as_list(stack[-1]).append(item)
            case "APPENDS":
                items = self._pop_marked()
                _as_list(self._stack[-1]).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _set_items(stack[-1], [key, value])
            case "SETITEMS":
                items = self._pop_marked()
                _set_items(self._stack[-1], items)

    def _build(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "GLOBAL":
                stack.append(self._named(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(self._named(f"{module}.{attribute}"))
            case "BINPERSID":
                stack.append(self._load_persistent(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._builders[function.path](*arguments))
            case "NEWOBJ":
                _, kind = stack.pop(), stack.pop()
                stack.append(self._new(kind))
            case "BUILD":
                state = stack.pop()
                _set_state(stack[-1], state)
            case _:
                raise ValueError(f"it has the instruction {name}, which weights do not need")

    def _pop_marked(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _named(self, path: str) -> Name:
        if path in self._builders or self._is_class(path):
            return Name(path)
        raise ValueError(f"it names {path[:100]}, which is not part of any weights")

    def _new(self, kind: Name) -> PickledObject:
        if not self._is_class(kind.path):
            raise ValueError(f"it makes an object of {kind.path}, which is not part of any weights")
        return PickledObject(kind.path)

    def _is_class(self, path: str) -> bool:
        return bool(self._class_prefix) and path.startswith(self._class_prefix)


def _as_list(target: Any) -> list[Any]:
    if type(target) is not list:
        raise ValueError("its pickle appends to what is no list")
    return target


def _set_items(target: Any, items: list[Any]) -> None:
    """Set keys and values, which alternate; keys of other types might be slow or deep to hash."""
    if not isinstance(target, dict):
        raise ValueError("its pickle sets items of what is no dictionary")
    keys = items[::2]
    odd = next((key for key in keys if not isinstance(key, (str, int, float))), None)
    if odd is not None:
        raise ValueError(f"a {type(odd).__name__} is the key of a dictionary")
    target.update(zip(keys, items[1::2], strict=True))


def _set_state(target: Any, state: Any) -> None:
    if isinstance(target, PickledObject):
        target.state = state
    elif isinstance(target, np.dtype):
        if state[1] not in ("<", "|", "="):
            raise ValueError("its numbers are of another byte order")
    elif not isinstance(target, dict):  # the attributes of a state_dict say nothing of weights
        raise ValueError(f"its pickle sets the state of a {type(target).__name__}")
