"""Publishers of the localizer: answers, markers, loop closures, tf, diagnostics."""

__all__: list[str] = []
