"""What may stand in a text that people read: nothing that they cannot see, and nothing that changes what they see.

A text that looks like another one is how a name is taken on a consent page or in a list. Joiners stay where they make
a word or an emoji look right.

Sources: Unicode, general categories and the property Default_Ignorable_Code_Point; RFC 5892 appendix A (joiners);
Unicode Technical Standard 51 (emoji sequences).
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_INVISIBLE_CATEGORIES: Final = frozenset({"Cf", "Co", "Cn"})
# Letters, marks and symbols by category, but nothing is seen of them: fillers, selectors, the blank of Braille.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U000e0100-\U000e01ef]"
)
_JOINERS: Final = "\u200c\u200d"
_VIRAMA: Final = 9  # the combining class of the sign that joins consonants in the scripts of India and around

_ONE: Final = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]\ufe0f?[\U0001f3fb-\U0001f3ff]?"
)
_FLAG_OF_A_REGION: Final = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_EMOJI: Final = re.compile(f"{_FLAG_OF_A_REGION}|[0-9#*]\ufe0f\u20e3|{_ONE}(?:\u200d{_ONE})*")


def has_invisible_character(text: str) -> bool:
    """Whether it has an invisible, bidirectional, unassigned or private-use character outside of words and emoji."""
    return not text.isascii() and any(_invisible_characters(_EMOJI.sub(" ", text)))


def _invisible_characters(text: str) -> Iterator[str]:
    for index, character in enumerate(text):
        if character in _JOINERS:
            if not _joins(text[index - 1 : index], text[index + 1 : index + 2]):
                yield character
        elif unicodedata.category(character) in _INVISIBLE_CATEGORIES or _INVISIBLE.match(character):
            yield character


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between the two shapes a word: beside a virama, or between letters of Arabic script."""
    if not (before and after and unicodedata.category(before)[0] in "LM" and unicodedata.category(after)[0] in "LM"):
        return False
    beside_virama = _VIRAMA in (unicodedata.combining(before), unicodedata.combining(after))
    return beside_virama or {unicodedata.bidirectional(before), unicodedata.bidirectional(after)} <= {"AL", "NSM"}
