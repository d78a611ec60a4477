"""Values are what the standard library's frozen dataclasses are, in all that anybody can see of them."""

import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from provisioning.domain import values


class Described:
    """Two fields that are compared and shown, one that is neither, and a default that is made anew."""

    name: str
    numbers: tuple[int, ...] = ()
    secret: str = field(default="", compare=False, repr=False)
    made: dict[str, int] = field(default_factory=dict, hash=False)

    def shout(self) -> str:
        """Return its name in capitals."""
        return self.name.upper()


def described() -> type[Any]:
    body = {name: value for name, value in vars(Described).items() if name not in {"__dict__", "__weakref__"}}
    return type("Described", (), {**body, "__qualname__": "Described"})


Ours: Any = values.dataclass(frozen=True, slots=True)(described())
Theirs: Any = dataclasses.dataclass(frozen=True, slots=True)(described())
KINDS = pytest.mark.parametrize("kind", [Ours, Theirs], ids=["ours", "theirs"])


@values.dataclass(frozen=True, slots=True)
class Point:
    """A value at module level, which can be pickled, and which looks at what it was given."""

    x: int
    y: int = 0

    def __post_init__(self) -> None:
        """Refuse what is below zero."""
        if self.x < 0:
            raise ValueError("x")


def test_both_are_written_the_same_and_hide_the_same() -> None:
    shown = [repr(kind("a", (1,), "s3cret")) for kind in (Ours, Theirs)]
    assert shown[0] == shown[1]
    assert "s3cret" not in shown[0]


@KINDS
def test_values_are_equal_by_what_is_compared_and_only_within_their_class(kind: Any) -> None:
    assert kind("a", secret="x") == kind("a", secret="y")
    assert kind("a") != kind("b")
    assert kind("a") != kind("a", (1,))
    assert kind("a").__eq__(("a", ())) is NotImplemented
    assert Ours("a") != Theirs("a")


def test_equal_values_have_equal_hashes() -> None:
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert len({Point(1), Point(1), Point(2)}) == 2


@KINDS
@pytest.mark.parametrize(
    "change",
    [
        lambda value: setattr(value, "name", "b"),
        lambda value: setattr(value, "numbers", (1,)),
        lambda value: delattr(value, "name"),
        lambda value: setattr(value, "shout", None),
    ],
)
def test_no_field_is_set_again_or_taken_away(kind: Any, change: Callable[[Any], None]) -> None:
    value = kind("a")
    with pytest.raises((AttributeError, TypeError)):
        change(value)
    assert value == kind("a")


@KINDS
def test_what_is_not_a_field_has_no_place(kind: Any) -> None:
    value = kind("a")
    with pytest.raises((AttributeError, TypeError)):
        value.other = 1
    assert not hasattr(value, "__dict__")


@KINDS
def test_a_copy_a_replacement_and_a_dictionary_hold_the_same(kind: Any) -> None:
    value = kind("a", (1,), "s", {"k": 1})
    assert copy.copy(value) == copy.deepcopy(value) == value
    assert copy.copy(value).secret == "s"
    assert dataclasses.replace(value, name="b") == kind("b", (1,), "s", {"k": 1})
    assert dataclasses.asdict(value) == {"name": "a", "numbers": (1,), "secret": "s", "made": {"k": 1}}
    assert kind("a").made is not kind("a").made
    assert value.shout() == "A"


@KINDS
def test_what_is_missing_or_unknown_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(TypeError, match="name"):
        kind()
    with pytest.raises(TypeError, match="other"):
        kind("a", other=1)
    with pytest.raises(TypeError, match="name"):
        kind("a", name="b")
    for args, given in (((), {"other": 1}), (("a", (), "", {}, 5), {})):
        with pytest.raises(TypeError):
            kind(*args, **given)


def test_a_value_looks_at_what_it_was_given() -> None:
    with pytest.raises(ValueError, match="x"):
        Point(-1)


def test_a_value_survives_pickling_and_is_not_read_from_one_of_other_fields() -> None:
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)  # noqa: S301 -- written right here
    with pytest.raises(ValueError, match="shorter"):
        Point(1).__setstate__([1])  # type: ignore[attr-defined]


def test_those_who_ask_are_told_that_a_value_is_frozen() -> None:
    assert Ours.__dataclass_params__.frozen is Theirs.__dataclass_params__.frozen is True


def test_a_value_is_made_without_compiling_anything() -> None:
    compiled: list[object] = []

    def note(_frame: object, event: str, called: object) -> None:
        if event == "c_call" and called is exec:
            compiled.append(called)

    sys.setprofile(note)
    try:
        values.dataclass(frozen=True, slots=True)(described())
    finally:
        sys.setprofile(None)
    assert not compiled


def test_no_kind_is_made_that_is_not_a_frozen_one_with_slots() -> None:
    with pytest.raises(TypeError, match="frozen"):
        values.dataclass(frozen=False, slots=True)
