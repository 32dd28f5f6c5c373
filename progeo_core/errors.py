"""The errors that users see: each message says what is wrong, where, and how to fix it."""

# A longer message has a hostile name or value in it; its start and its end say what is wrong.
_MAX_MESSAGE = 4000


class ProgeoError(Exception):
    """Failed run, reported in one line; the command line exits with `exit_code`.

    Messages quote files and libraries: line breaks and tabs become blanks, and characters that a
    terminal would obey, or could not show, are spelled out.
    """

    exit_code = 1

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _MAX_MESSAGE:
            half = _MAX_MESSAGE // 2
            text = f"{text[:half]} … {text[-half:]}"
        if text.isprintable():
            return text
        line = " ".join(text.split())
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class UsageError(ProgeoError):
    """Bad option, parameter or name: nothing was attempted."""

    exit_code = 2


class DataError(ProgeoError):
    """File (records, bag, checkpoint, map) that is missing, damaged or of another kind."""


class ImageError(ProgeoError):
    """One image that cannot be used; callers count it and go on."""


class ModelMismatchError(DataError):
    """Map or checkpoint that was made with another model."""


class MissingDependencyError(ProgeoError):
    """Optional package that is not installed, and what to install."""


def counted(count: int, noun: str) -> str:
    """Return "1 place" or "12 places"; noun: one that takes an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
