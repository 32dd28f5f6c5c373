"""Loop closure and mapping sessions: keyframes, loops, and the pose graph."""

__all__: list[str] = []
