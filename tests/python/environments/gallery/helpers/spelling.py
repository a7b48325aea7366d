from importlib import resources


def letters(word):
    return " ".join(word)


def title():
    return resources.files(__package__).joinpath("title.txt").read_text(encoding="utf-8").strip()
