"""Frozen values: what `dataclasses.dataclass(frozen=True, slots=True)` makes, in a tenth of the time.

The standard library writes and compiles eight methods for each class: for seventy classes that was a fifth of the time
from a new process to its first answer. Here all classes share them. None of them derives from another.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

if TYPE_CHECKING:
    # Type checkers know the standard library's, and what it makes is what is made here.
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 -- said to be exported
else:
    import dataclasses
    from dataclasses import MISSING, FrozenInstanceError

    T = TypeVar("T")
    _set: Final = object.__setattr__

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """Return what makes a frozen class with slots of a description; raise TypeError for any other kind."""
        if not (frozen and slots):
            raise TypeError("values are frozen and have slots; for others there is dataclasses.dataclass")

        def made(description: type[T]) -> type[T]:
            value = dataclasses.dataclass(slots=True, init=False, repr=False, eq=False)(description)
            value.__dataclass_params__.frozen = True  # said only now: asked for, it would be two methods more
            fields = dataclasses.fields(value)
            shared = {name: method for name, method in vars(_Value).items() if callable(method)}
            shared["_names"] = tuple(each.name for each in fields)
            shared["_named"] = frozenset(shared["_names"])
            shared["_defaults"] = {each.name: each.default for each in fields if each.default is not MISSING}
            shared["_makers"] = {e.name: e.default_factory for e in fields if e.default_factory is not MISSING}
            shared["_shown"] = tuple(each.name for each in fields if each.repr)
            shared["_compared"] = attrgetter(*(each.name for each in fields if each.compare))
            for name in shared.keys() - vars(description).keys():
                setattr(value, name, shared[name])
            return value

        return made

    class _Value:
        """The methods that all values share."""

        _names: ClassVar[tuple[str, ...]]
        _named: ClassVar[frozenset[str]]
        _defaults: ClassVar[Mapping[str, object]]
        _makers: ClassVar[Mapping[str, Callable[[], object]]]
        _shown: ClassVar[tuple[str, ...]]
        _compared: ClassVar[Callable[[Any], object]]

        def __init__(self, *args: object, **given: object) -> None:
            """Set each field: by its place, by its name, or as it is where it is not given."""
            values = {**self._defaults, **dict(zip(self._names, args, strict=False)), **given}
            for name in self._makers.keys() - values.keys():
                values[name] = self._makers[name]()
            twice = [name for name in self._names[: len(args)] if name in given] if given else ()
            if values.keys() != self._named or len(args) > len(self._names) or twice:
                missing = [name for name in self._names if name not in values]
                unknown = [name for name in given if name not in self._names]
                raise TypeError(f"{type(self).__qualname__}: missing {missing}, unknown {unknown}, twice {list(twice)}")
            for name in self._names:
                _set(self, name, values[name])
            if hasattr(self, "__post_init__"):
                self.__post_init__()

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
            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> None:
            raise FrozenInstanceError(f"cannot delete field {name!r}")

        def __getstate__(self) -> list[object]:
            return [getattr(self, name) for name in self._names]

        def __setstate__(self, state: list[object]) -> None:
            for name, value in zip(self._names, state, strict=True):
                _set(self, name, value)
