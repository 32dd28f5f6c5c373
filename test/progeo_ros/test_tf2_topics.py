import pytest

from progeo_core.errors import MissingDependencyError
from progeo_ros import tf2_topics


def test_what_needs_the_messages_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf2_topics, "TFMessage", None)
    with pytest.raises(MissingDependencyError, match=r"mapping_reference tf needs tf2_msgs.*apt"):
        tf2_topics.require_tf2("mapping_reference tf")
    monkeypatch.setattr(tf2_topics, "TFMessage", int)
    assert tf2_topics.require_tf2("anything") is int
