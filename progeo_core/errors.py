"""The errors that users see: each message says what is wrong, where, and how to mend it."""


class ProgeoError(Exception):
    """Report a failed run in one line; the command line exits with `exit_code`."""

    exit_code = 1


class UsageError(ProgeoError):
    """Report a bad option, parameter or name: nothing was attempted."""

    exit_code = 2


class DataError(ProgeoError):
    """Report a file (records, bag, checkpoint, map) that is missing, damaged or of another kind."""


class ImageError(ProgeoError):
    """Report one image that cannot be used; callers count it and go on."""


class ModelMismatchError(DataError):
    """Report a map or checkpoint that was made with another model."""


class MissingDependencyError(ProgeoError):
    """Report an optional package that is not installed, and what to install."""
