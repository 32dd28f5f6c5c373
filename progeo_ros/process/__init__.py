"""Running nodes as processes: spinning, logs, and the DDS environment."""

__all__: list[str] = []
