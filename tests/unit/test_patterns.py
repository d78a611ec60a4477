"""No pattern of the service takes long for any text: what it costs grows with the length, and not with its square.

The texts are made of the pattern itself: up to each of its repetitions, then that very often, and then something that
does not fit. That is where a pattern that can be matched in many ways tries them all ("Regular expression Denial of
Service", OWASP).
"""

import ast
import importlib
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

PARSER: Any = re._parser  # noqa: SLF001 -- it alone knows the parts of a pattern
METHODS: Final = ("fullmatch", "match", "search", "findall", "sub", "split", "finditer")
OFTEN: Final = 16  # what is repeated less often multiplies the cost by a constant
TAILS: Final = ("\x00", "", "!")
CHARACTERS: Final = "aA0-._ \t:/=+@x"
SHORT: Final = (*range(12, 64, 4), 200, 500)
MANY, FOUR_TIMES_AS_MANY = 2_000, 8_000
MEASURABLE = 0.004  # seconds; below, a ratio of two times says nothing
# Four times the length costs four times as much, and sixteen times where the cost grows with the square.
MOST_GROWTH = 9


def patterns() -> Iterator[tuple[str, str, Any]]:
    """Yield each pattern of the service: where it is, by which method it is used, and the pattern."""
    for path in sorted(Path("provisioning").rglob("*.py")):
        name = ".".join(path.with_suffix("").parts)
        module, source = importlib.import_module(name), path.read_text()
        for attribute, value in vars(module).items():
            for index, pattern in enumerate(value if isinstance(value, tuple) else [value]):
                if isinstance(pattern, re.Pattern) and f"\n{attribute}" in source:
                    for method in used_by(attribute, source) or ["fullmatch"]:
                        yield f"{name}.{attribute}[{index}].{method}", method, pattern
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=method), args=[ast.Constant(value=text), *_]
                ) if method != "compile":
                    yield f"{name}:{node.lineno}.{method}", method, re.compile(text)


def used_by(attribute: str, source: str) -> list[str]:
    sources = (
        [source]
        if attribute.startswith("_")
        else [each.read_text() for each in Path("provisioning").rglob("*") if each.suffix == ".py"]
    )
    found = {method for each in sources for method in re.findall(rf"\b{attribute}\.(\w+)\(", each)}
    return sorted(found & set(METHODS))


# --- what a pattern is attacked with --------------------------------------------------------------------------------


def attacks(parsed: Iterable[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield a text that leads up to each repetition of the pattern, and what can be repeated there."""
    for operation, argument in parsed:
        match str(operation):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, body = argument
                if most > OFTEN:
                    yield from ((before, unit) for unit in units(body))
                yield from attacks(body, before)
                before += example(body) * least
            case "SUBPATTERN":
                yield from attacks(argument[-1], before)
                before += example(argument[-1])
            case "BRANCH":
                for branch in argument[1]:
                    yield from attacks(branch, before)
                before += example(argument[1][0])
            case "ASSERT" | "ASSERT_NOT":
                yield from attacks(argument[1], before)
            case _:
                before += example([(operation, argument)])


def units(body: Any) -> list[str]:
    """What matches a repeated part: each character of ours, where it is one character; an example otherwise."""
    if len(body) != 1 or str(body[0][0]) not in ("IN", "LITERAL", "NOT_LITERAL", "ANY"):
        return [example(body)]
    return [each for each in CHARACTERS if fits(each, *body[0])] or [example(body)]


def example(parsed: Iterable[Any]) -> str:
    """Return a short text that the part of a pattern matches."""
    text = ""
    for operation, argument in parsed:
        match str(operation):
            case "LITERAL":
                text += chr(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                text += example(argument[2]) * argument[0]
            case "SUBPATTERN":
                text += example(argument[-1])
            case "BRANCH":
                text += example(argument[1][0])
            case "IN" | "NOT_LITERAL" | "ANY":
                of_the_set = argument if isinstance(argument, list) else []
                firsts = [
                    chr(value[0] if str(kind) == "RANGE" else value)
                    for kind, value in of_the_set
                    if value and str(kind) != "CATEGORY"
                ]
                text += next(each for each in (*CHARACTERS, *firsts, "\u00e9") if fits(each, operation, argument))
            case "AT" | "ASSERT" | "ASSERT_NOT":
                pass
            case other:
                raise AssertionError(f"a part that nobody attacks: {other}")
    return text


def fits(character: str, operation: Any, argument: Any) -> bool:
    """Whether a part that stands for one character stands for this one."""
    match str(operation):
        case "ANY":
            return character != "\n"
        case "LITERAL":
            return bool(ord(character) == argument)
        case "NOT_LITERAL":
            return bool(ord(character) != argument)
    negated = str(argument[0][0]) == "NEGATE"
    return any(_in(character, str(kind), value) for kind, value in argument[negated:]) != negated


def _in(character: str, kind: str, value: Any) -> bool:
    if kind == "LITERAL":
        return bool(ord(character) == value)
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    name = str(value).removeprefix("CATEGORY_")
    found = re.fullmatch({"SPACE": r"\s", "DIGIT": r"\d", "WORD": r"\w"}[name.removeprefix("NOT_")], character)
    return (found is not None) != name.startswith("NOT_")


# --- how long that takes --------------------------------------------------------------------------------------------


def seconds(pattern: Any, method: str, text: str) -> float:
    """The shortest of three times: whatever else the machine does only adds to it."""
    subject: Any = text.encode("latin-1", "ignore") if isinstance(pattern.pattern, bytes) else text
    arguments = (subject[:0], subject) if method == "sub" else (subject,)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        result = getattr(pattern, method)(*arguments)
        if method == "finditer":
            list(result)
        times.append(time.perf_counter() - begun)
        if times[-1] < MEASURABLE:
            break
    return min(times)


def explodes(pattern: Any, method: str) -> list[tuple[str, str, str]]:
    """Return what makes the cost of a pattern grow faster than the length of a text."""
    found = []
    for before, unit in dict.fromkeys(attacks(PARSER.parse(pattern.pattern, pattern.flags & ~re.DEBUG))):
        for tail in TAILS:
            texts = {count: before + unit * count + tail for count in (*SHORT, MANY, FOUR_TIMES_AS_MANY)}
            # Whatever takes measurably long for a short text grows with each character, or with more than a square.
            if any(seconds(pattern, method, texts[count]) > MEASURABLE for count in SHORT):
                found.append((before, unit, tail))
                continue
            long = seconds(pattern, method, texts[FOUR_TIMES_AS_MANY])
            if long > MEASURABLE and long / seconds(pattern, method, texts[MANY]) > MOST_GROWTH:
                found.append((before, unit, tail))
    return found


PATTERNS: Final = {where: (method, pattern) for where, method, pattern in patterns()}


def test_every_pattern_of_the_service_is_attacked() -> None:
    compiled = sum(path.read_text().count("re.compile(") for path in Path("provisioning").rglob("*.py"))
    attacked = {where.rpartition(".")[0] for where in PATTERNS if "]" in where}
    assert len(attacked) == compiled > 40


@pytest.mark.parametrize("where", PATTERNS)
def test_no_pattern_costs_more_than_the_length_of_a_text(where: str) -> None:
    method, pattern = PATTERNS[where]
    assert not explodes(pattern, method)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"(?:a+)+b", "fullmatch"),
        (r"(?:a|aa)+b", "fullmatch"),
        (r"https://(?:[a-z0-9]+\.?)+/", "fullmatch"),
        (r"[a-z]*[a-z0-9]*[a-z]*b", "fullmatch"),
        (r"\s+$", "search"),
    ],
)
def test_a_pattern_that_can_be_matched_in_many_ways_is_found(pattern: str, method: str) -> None:
    assert explodes(re.compile(pattern), method)
