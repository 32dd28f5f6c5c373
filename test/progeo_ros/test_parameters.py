from collections.abc import Callable
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from progeo_core.errors import UsageError
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_ros.parameters import NodeParameters, parameter_fields
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.settings import NodeSettings


class Declared:
    """A node with the parameters, that may be configured or not."""

    def __init__(self, **overrides: Any) -> None:
        given = [Parameter(name.replace("__", "."), value=v) for name, v in overrides.items()]
        self.node = GuardedNode("parameters", parameter_overrides=given)
        self.configured = False
        self.changes = 0
        self.objection = ""
        try:
            self.parameters = NodeParameters(
                self.node, is_configured=lambda: self.configured, on_change=self._on_change
            )
        except UsageError:
            self.node.destroy_node()
            raise

    def _on_change(self) -> None:
        if self.objection:
            raise UsageError(self.objection)
        self.changes += 1

    def set(self, name: str, value: Any) -> str:
        """Set a parameter; return why that was refused, or nothing."""
        (result,) = self.node.set_parameters([Parameter(name, value=value)])
        return "" if result.successful else result.reason


@pytest.fixture
def declare(dds_domain: dict[str, str]):
    del dds_domain
    created: list[Declared] = []

    def make(**overrides: Any) -> Declared:
        created.append(Declared(**overrides))
        return created[-1]

    yield make
    for declared in created:
        declared.node.destroy_node()


Declare = Callable[..., Declared]


def test_every_field_becomes_a_parameter_with_its_default(declare: Declare) -> None:
    declared = declare()
    assert declared.parameters.get(NodeSettings) == NodeSettings()
    assert declared.parameters.get(LocalizerSettings) == LocalizerSettings()
    names = [item.name for item in parameter_fields()]
    assert {"map", "cameras", "localizer.top_k", "consensus.place_radius_m"} <= set(names)
    assert all(declared.node.has_parameter(name) for name in names)


def test_descriptors_carry_meaning_range_and_type(declare: Declare) -> None:
    node = declare().node
    for item in parameter_fields():
        descriptor = node.describe_parameter(item.name)
        assert descriptor.description == item.description
        assert len(descriptor.description) > 10
    (span,) = node.describe_parameter("localizer.top_k").integer_range
    assert (span.from_value, span.to_value) == (1, 1000)
    (span,) = node.describe_parameter("localizer.min_confidence").floating_point_range
    assert (span.from_value, span.to_value) == (0.0, 1.0)
    assert node.describe_parameter("cameras").type == ParameterType.PARAMETER_STRING_ARRAY
    assert "compressed" in node.describe_parameter("image_transport").additional_constraints


def test_overrides_reach_the_settings(declare: Declare) -> None:
    declared = declare(cameras=["/a", "/b"], localizer__top_k=3, consensus__place_radius_m=7.5)
    assert declared.parameters.get(NodeSettings).cameras == ("/a", "/b")
    assert declared.parameters.get(LocalizerSettings).top_k == 3
    assert declared.parameters.get(ConsensusSettings).place_radius_m == 7.5


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"mapp": "x"}, "unknown parameter 'mapp': did you mean map"),
        ({"localizer__topk": 3}, r"unknown parameter 'localizer\.topk': did you mean localizer"),
        ({"zzz": 1}, "unknown parameter 'zzz': known ones are map, model"),
        ({"localizer__top_k": 0}, r"localizer\.top_k: must be a int between 1 and 1000"),
        ({"localizer__min_confidence": 1}, "must be a float between 0 and 1, like its default"),
        ({"image_transport": "theora"}, "'theora': must be one of raw, compressed"),
        ({"map": 5}, "parameter map: must be a str"),
        ({"autostart": False}, r"'autostart' is no longer there: localize\.launch\.py configures"),
        ({"consensus__sharpness": 7.5}, r"'consensus\.sharpness' is no longer there: .* calibrate"),
    ],
)
def test_bad_overrides_are_refused_with_the_mend(
    declare: Declare, overrides: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        declare(**overrides)


def test_thresholds_change_at_any_time_within_their_range(declare: Declare) -> None:
    declared = declare()
    declared.configured = True
    assert declared.set("localizer.min_confidence", 0.25) == ""
    assert declared.parameters.get(LocalizerSettings).min_confidence == 0.25
    assert declared.changes == 1
    assert "out of range" in declared.set("localizer.min_confidence", 1.5)
    assert declared.parameters.get(LocalizerSettings).min_confidence == 0.25
    assert declared.changes == 1


def test_what_is_read_at_configure_is_fixed_from_then_on(declare: Declare) -> None:
    declared = declare()
    assert declared.set("model", "other") == ""
    assert "must be one of raw, compressed" in declared.set("image_transport", "theora")
    declared.configured = True
    assert "clean it up first" in declared.set("model", "third")
    assert declared.parameters.get(NodeSettings).model == "other"
    assert declared.set("map", "/other.progeo") == ""
    assert declared.parameters.get(NodeSettings).map == "/other.progeo"


def test_an_objection_of_the_node_leaves_everything_as_it_was(declare: Declare) -> None:
    declared = declare()
    declared.objection = "follows one camera"
    assert declared.set("localizer.sequence", False) == "follows one camera"
    assert declared.parameters.get(LocalizerSettings).sequence
    assert declared.node.get_parameter("localizer.sequence").value


def test_parameters_of_others_are_let_through(declare: Declare) -> None:
    declared = declare(use_sim_time=True)
    assert declared.node.get_parameter("use_sim_time").value
    assert declared.set("use_sim_time", False) == ""
