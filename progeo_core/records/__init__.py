"""Images with known positions: CSV tables, `@` names, EXIF, folders."""

__all__: list[str] = []
