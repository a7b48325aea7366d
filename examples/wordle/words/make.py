#!/usr/bin/env python3
"""Generates the three word files of this folder from two Debian word lists.

    python3 make.py american-english american-english-small

The arguments are the files of those names in `/usr/share/dict`, of the
packages `wamerican` and `wamerican-small`, version 2020.12.07-2. Both are
extracts of SCOWL; `LICENSE-SCOWL` beside this script is their licence.

The rules, in order:

guesses  every entry of the larger list that is five letters a-z, all lower
         case (so no proper names, accents or apostrophes), and no Roman
         numeral.
answers  the guesses that are also in the smaller list of more common
         words, without plain inflections (a word of that list plus
         `s`, `es`, `d` or `ed`) and without the few in `LEFT_OUT`.
test     the answers whose SHA-256 digest begins with a byte below 51: about
         one in five. All other answers are `train`. The split of a word depends
         on the word alone, and does not change when the lists change.
order    answers by their digest, so that the number of a task does not reveal
         the place in the alphabet; guesses in alphabetical order.
"""

import hashlib
import pathlib
import re
import sys

FIVE_LETTERS = re.compile(r"[a-z]{5}")
ROMAN_NUMERAL = re.compile(
    r"m{0,3}(cm|cd|d?c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})"
)
# Slurs and coarse words: valid guesses, but not answers.
LEFT_OUT = {"bitch", "booby", "enema", "fagot", "horny", "penis", "pussy", "whore"}
TEST_BELOW = 51


def entries(path: str) -> set[str]:
    return set(pathlib.Path(path).read_text(encoding="utf-8").split())


def is_guess(word: str) -> bool:
    return bool(FIVE_LETTERS.fullmatch(word)) and not ROMAN_NUMERAL.fullmatch(word)


def is_inflected(word: str, common: set[str]) -> bool:
    return any(
        word.endswith(ending) and word.removesuffix(ending) in common
        for ending in ("s", "es", "d", "ed")
    )


def digest(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


def write(name: str, words: list[str]) -> None:
    path = pathlib.Path(__file__).with_name(name)
    path.write_text("".join(f"{word}\n" for word in words), encoding="ascii")
    print(f"{name}: {len(words)} words")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: make.py AMERICAN-ENGLISH AMERICAN-ENGLISH-SMALL")
    larger, common = entries(sys.argv[1]), entries(sys.argv[2])

    guesses = sorted(filter(is_guess, larger))
    answers = sorted(
        (
            word
            for word in guesses
            if word in common
            and word not in LEFT_OUT
            and not is_inflected(word, common)
        ),
        key=digest,
    )
    write("guesses.txt", guesses)
    write("train.txt", [word for word in answers if digest(word)[0] >= TEST_BELOW])
    write("test.txt", [word for word in answers if digest(word)[0] < TEST_BELOW])


main()
