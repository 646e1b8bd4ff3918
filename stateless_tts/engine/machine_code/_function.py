"""Functions in LLVM's assembly, written line by line from Python."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FETCH = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
"""Declares what asks for a cache line before it is read."""


class Function:
    """The lines of one function. Every value has a name of its own, which is what expressions are made of.

    Args:
        name: without its sigil.
        arguments: their types, by name.
        public: whether it can be called from outside.
    """

    def __init__(self, name: str, arguments: Mapping[str, str], *, public: bool = False) -> None:
        listed = ", ".join(f"{type_} %{argument}" for argument, type_ in arguments.items())
        self._head = f"define {'' if public else 'private '}void @{name}({listed}) {{"
        self._lines = ["entry:"]
        self._block = "entry"
        self._names = 0

    def source(self) -> str:
        """Return the function, which ends here."""
        return "\n".join([self._head, *self._lines, "  ret void", "}", ""])

    def do(self, line: str) -> None:
        """Add a line that makes no value."""
        self._lines.append(f"  {line}")

    def let(self, expression: str) -> str:
        """Return the name of what the expression makes."""
        name = self._name()
        self.do(f"{name} = {expression}")
        return name

    def after(self, pointer: str, *bytes_: str | int) -> str:
        """Return a pointer so many bytes further on."""
        for count in bytes_:
            if count != 0:
                pointer = self.let(f"getelementptr i8, ptr {pointer}, i64 {count}")
        return pointer

    def from_table(self, name: str, count: str) -> str:
        """Return the function for so many, from what `table_of` these names made."""
        return self.load("ptr", self.let(f"getelementptr ptr, ptr @{name}s, i64 {count}"))

    def times(self, first: str, second: str | int) -> str:
        """Return the product of two whole numbers."""
        return self.let(f"mul i64 {first}, {second}")

    def plus(self, first: str, second: str | int) -> str:
        """Return the sum of two whole numbers."""
        return self.let(f"add i64 {first}, {second}")

    def minus(self, first: str, second: str | int) -> str:
        """Return the difference of two whole numbers."""
        return self.let(f"sub i64 {first}, {second}")

    def over(self, first: str, second: str | int) -> str:
        """Return how often the second fits into the first."""
        return self.let(f"udiv i64 {first}, {second}")

    def least(self, first: str, second: str | int) -> str:
        """Return the smaller of two whole numbers."""
        smaller = self.let(f"icmp slt i64 {first}, {second}")
        return self.let(f"select i1 {smaller}, i64 {first}, i64 {second}")

    def load(self, type_: str, pointer: str) -> str:
        """Return what lies there, wherever that is."""
        return self.let(f"load {type_}, ptr {pointer}, align 1")

    def store(self, type_: str, value: str, pointer: str) -> None:
        """Put a value there, wherever that is."""
        self.do(f"store {type_} {value}, ptr {pointer}, align 1")

    @contextmanager
    def loop(self, count: str | int, **carried: tuple[str, str]) -> Iterator[Loop]:
        """Repeat what is written inside `count` times, which has to be at least once.

        Args:
            count: how often.
            carried: type and first value of what changes from turn to turn; `Loop.then` has to tell the next one.
        """
        before, head = self._block, self._name().removeprefix("%")
        self.do(f"br label %{head}")
        self._begin(head)
        place = len(self._lines)
        index, following = self._name(), self._name()
        loop = Loop(index, {name: self._name() for name in carried}, {})
        yield loop
        self.do(f"{following} = add i64 {index}, 1")
        more = self.let(f"icmp slt i64 {following}, {count}")
        self._lines[place:place] = self._phis(loop, following, before, carried)
        end = self._name().removeprefix("%")
        self.do(f"br i1 {more}, label %{head}, label %{end}")
        self._begin(end)

    @contextmanager
    def any_times(self, count: str, **carried: tuple[str, str]) -> Iterator[Loop]:
        """Repeat what is written inside `count` times, which may be none: what has become of values is `Loop.now`.

        Args:
            count: how often.
            carried: as `loop` takes it.
        """
        before, head, body, end = self._block, *(self._name().removeprefix("%") for _ in range(3))
        self.do(f"br label %{head}")
        self._begin(head)
        place = len(self._lines)
        index, following = self._name(), self._name()
        loop = Loop(index, {name: self._name() for name in carried}, {})
        more = self.let(f"icmp slt i64 {index}, {count}")
        self.do(f"br i1 {more}, label %{body}, label %{end}")
        self._begin(body)
        yield loop
        self.do(f"{following} = add i64 {index}, 1")
        self._lines[place:place] = self._phis(loop, following, before, carried)
        self.do(f"br label %{head}")
        self._begin(end)

    def _phis(self, loop: Loop, following: str, before: str, carried: Mapping[str, tuple[str, str]]) -> list[str]:
        """Return what chooses between the first values, from the block before, and those of the turn that ends."""
        phis = [("i64", loop.index, "0", following)]
        phis += [(type_, loop.now[name], first, loop.then[name]) for name, (type_, first) in carried.items()]
        return [
            f"  {name} = phi {type_} [{first}, %{before}], [{later}, %{self._block}]"
            for type_, name, first, later in phis
        ]

    def take(self, counter: str) -> str:
        """Return a number that no other thread takes from this counter, which counts up."""
        return self.let(f"atomicrmw add ptr {counter}, i64 1 monotonic")

    @contextmanager
    def share(self, counter: str, count: str) -> Iterator[str]:
        """Repeat what is written inside for every number below `count` that no other thread has taken.

        Args:
            counter: points to the next number to take.
            count: there are so many.
        """
        head, body, end = (self._name().removeprefix("%") for _ in range(3))
        self.do(f"br label %{head}")
        self._lines.append(f"{head}:")
        taken = self.take(counter)
        any_left = self.let(f"icmp slt i64 {taken}, {count}")
        self.do(f"br i1 {any_left}, label %{body}, label %{end}")
        self._begin(body)
        yield taken
        self.do(f"br label %{head}")
        self._begin(end)

    def part(self, share: str, shares: str, count: str) -> tuple[str, str]:
        """Return the first of `count` things that belong to this one of so many shares, and how many do."""
        first = self.over(self.times(share, count), shares)
        following = self.over(self.times(self.plus(share, 1), count), shares)
        return first, self.minus(following, first)

    def _begin(self, block: str) -> None:
        self._block = block
        self._lines.append(f"{block}:")

    def _name(self) -> str:
        self._names += 1
        return f"%v{self._names}"


class Loop:
    """What a loop's turn knows.

    Attributes:
        index: of the turn, from 0.
        now: what was carried into it.
        then: what it carries into the next one.
    """

    def __init__(self, index: str, now: dict[str, str], then: dict[str, str]) -> None:
        self.index = index
        self.now = now
        self.then = then


def table_of(name: str, most: int) -> str:
    """Return a table of the functions `name1`, `name2` and so on, as far as `most`, for `Function.from_table`."""
    listed = ", ".join(["ptr null", *(f"ptr @{name}{count + 1}" for count in range(most))])
    return f"@{name}s = private constant [{most + 1} x ptr] [{listed}]"


def place(code: Function, fields: Mapping[str, str], name: str) -> str:
    """Return where a value lies in a table of 8 bytes each, to which the argument `table` points."""
    return code.after("%table", 8 * list(fields).index(name))


def tabled(name: str, fields: Mapping[str, str]) -> tuple[Function, dict[str, str]]:
    """Return a public function of such a table, and the values that it is told."""
    code = Function(name, {"table": "ptr"}, public=True)
    return code, read(code, fields)


def read(code: Function, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the values of such a table by their names."""
    return {name: code.let(f"load {type_}, ptr {place(code, fields, name)}") for name, type_ in fields.items()}
