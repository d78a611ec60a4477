"""Frozen values: what `dataclasses.dataclass(frozen=True, slots=True)` makes, in a quarter of the time.

The standard library writes and compiles seven methods for each class: for seventy classes that was a fifth of the time
from a new process to its first answer. Here it writes `__init__`, and all classes share the others. None of them
derives from another.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

if TYPE_CHECKING:
    # Type checkers know the standard library's, and what it makes is what is made here.
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 -- said to be exported
else:
    import dataclasses

    T = TypeVar("T")
    _ABSENT: Final = object()

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """Return what makes a frozen class with slots of a description; raise TypeError for any other kind."""
        if not (frozen and slots):
            raise TypeError("values are frozen and have slots; for others there is dataclasses.dataclass")

        def made(description: type[T]) -> type[T]:
            value = dataclasses.dataclass(slots=True, repr=False, eq=False)(description)
            value.__dataclass_params__.frozen = True  # said only now: asked for, it would be two methods more
            fields = dataclasses.fields(value)
            shared = {name: method for name, method in vars(_Value).items() if callable(method)}
            shared["_compared"] = attrgetter(*(each.name for each in fields if each.compare))
            shared["_shown"] = tuple(each.name for each in fields if each.repr)
            for name in shared.keys() - vars(description).keys():
                setattr(value, name, shared[name])
            return value

        return made

    class _Value:
        """The methods that all values share."""

        _compared: ClassVar[Callable[[Any], object]]
        _shown: ClassVar[tuple[str, ...]]

        def __repr__(self) -> str:
            shown = (f"{name}={getattr(self, name)!r}" for name in self._shown)
            return f"{type(self).__qualname__}({', '.join(shown)})"

        def __eq__(self, other: object) -> bool:
            if other.__class__ is not self.__class__:
                return NotImplemented
            return self._compared(self) == self._compared(other)

        def __hash__(self) -> int:
            return hash(self._compared(self))

        def __setattr__(self, name: str, value: object) -> None:
            """Set a field once, which is what `__init__` does."""
            if getattr(self, name, _ABSENT) is not _ABSENT:
                raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

        def __getstate__(self) -> list[object]:
            return [getattr(self, each.name) for each in dataclasses.fields(self)]

        def __setstate__(self, state: list[object]) -> None:
            for each, value in zip(dataclasses.fields(self), state, strict=True):
                object.__setattr__(self, each.name, value)
