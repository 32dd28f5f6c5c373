"""ROS parameters, declared from the settings dataclasses and checked by them."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from progeo_core.errors import UsageError
from progeo_core.fleet.robot_fleet import FleetSettings
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.localization.tracker_monitor import TrackerSettings
from progeo_core.settings import Range, Settings
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings
from progeo_core.slam.pose_graph import PoseGraphSettings
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.qos_overrides import PREFIX as OVERRIDES
from progeo_ros.process.qos_overrides import check_overrides
from progeo_ros.settings import NodeSettings, PoseGraphNodeSettings, PoseRelayNodeSettings

SettingsT = TypeVar("SettingsT", bound=Settings)

# Prefix of the parameter names of each group of settings.
Groups: TypeAlias = Mapping[str, type[Settings]]
GROUPS: Groups = {
    "": NodeSettings,
    "localizer.": LocalizerSettings,
    "consensus.": ConsensusSettings,
    "place_filter.": PlaceFilterSettings,
    "keyframes.": KeyframeSettings,
    "loop_closure.": LoopClosureSettings,
    "fleet.": FleetSettings,
}
# Node settings that may change at any time; `map` is read at configure and by ~/reload_map.
AT_CONFIGURE = {NodeSettings, KeyframeSettings, LoopClosureSettings, FleetSettings}
ALWAYS_SETTABLE = {"map", "image_timeout_s"}
AT_START = {PoseGraphNodeSettings, PoseGraphSettings, PoseRelayNodeSettings, TrackerSettings}
POSE_GRAPH_GROUPS: Groups = {"": PoseGraphNodeSettings, "pose_graph.": PoseGraphSettings}
POSE_RELAY_GROUPS: Groups = {"": PoseRelayNodeSettings, "tracking.": TrackerSettings}


# Parameters that earlier versions had, and what takes the place of each.
_FITTED = "it is a constant now; progeo map calibrate fits the confidence of a map"
REMOVED: Mapping[str, str] = {
    "autostart": "localize.launch.py configures and activates the node (autostart:=false leaves"
    " that to a lifecycle manager); by hand: ros2 lifecycle set",
    "localizer.geometric_checks": "localizer.verification_ms, a time per image, takes its place",
    "consensus.sharpness": _FITTED,
    "consensus.confidence_gap": _FITTED,
    "consensus.confidence_slope": _FITTED,
    "consensus.presence_similarity": _FITTED,
    "consensus.presence_slope": _FITTED,
    "place_filter.evidence_slope": _FITTED,
    "place_filter.evidence_zero": _FITTED,
    "place_filter.evidence_limit": _FITTED,
    "place_filter.leave_rate": _FITTED,
    "place_filter.enter_rate": _FITTED,
    "place_filter.turn_rate": _FITTED,
}


class ParameterField(NamedTuple):
    """One ROS parameter: its name, the dataclass field behind it, and when it may change."""

    name: str
    settings: type[Settings]
    field: dataclasses.Field[Any]

    @property
    def description(self) -> str:
        """Return what the parameter means, in one line."""
        return str(self.field.metadata["description"])

    @property
    def range(self) -> Range:
        """Return the inclusive bounds, infinite where there is none."""
        bounds: Range = self.field.metadata["range"]
        return bounds

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the allowed words, empty where any are."""
        choices: tuple[str, ...] = self.field.metadata["choices"]
        return choices

    @property
    def change(self) -> str:
        """Return when the parameter may be set: at start, unconfigured, or always."""
        if self.settings in AT_START:
            return "at start"
        if self.settings in AT_CONFIGURE and self.name not in ALWAYS_SETTABLE:
            return "unconfigured"
        return "always"


def parameter_fields(groups: Groups = GROUPS) -> Iterator[ParameterField]:
    """Yield every parameter of a node, the localizer by default, in the dataclasses' order."""
    for prefix, settings in groups.items():
        for field in dataclasses.fields(settings):
            yield ParameterField(prefix + field.name, settings, field)


class NodeParameters:
    """Current settings of a node, kept equal to its ROS parameters."""

    def __init__(
        self,
        node: GuardedNode,
        *,
        on_change: Callable[[], None],
        is_configured: Callable[[], bool] = lambda: False,
        groups: Groups = GROUPS,
    ) -> None:
        """Declare all parameters on `node`; `UsageError` for a wrong or unknown one.

        is_configured: says whether parameters that only matter at configure are refused.
        on_change: is called after parameters were set; a `UsageError` from it refuses them.
        """
        self._fields = {item.name: item for item in parameter_fields(groups)}
        self._is_configured, self._on_change = is_configured, on_change
        values = {item.name: _declare(node, item) for item in self._fields.values()}
        _refuse_unknown(node, list(self._fields))
        self._settings = {settings: settings() for settings in groups.values()}
        self._settings = self._with(values)
        node.add_on_set_parameters_callback(self._on_set)

    def get(self, settings: type[SettingsT]) -> SettingsT:
        """Return the current settings of one group."""
        current = self._settings[settings]
        assert isinstance(current, settings)
        return current

    def _with(self, values: dict[str, Any]) -> dict[type[Settings], Settings]:
        """Return all settings with some parameters changed; `UsageError` for a bad value."""
        changed = dict(self._settings)
        for settings in self._settings:
            changes = {
                self._fields[name].field.name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
                if self._fields[name].settings is settings
            }
            changed[settings] = dataclasses.replace(changed[settings], **changes)
        return changed

    def _on_set(self, parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        ours = [parameter for parameter in parameters if parameter.name in self._fields]
        for parameter in ours:
            if self._fields[parameter.name].change == "unconfigured" and self._is_configured():
                reason = f"{parameter.name} is used while the node is configured: clean it up first"
                return SetParametersResult(successful=False, reason=reason)
        before = self._settings
        try:
            self._settings = self._with({item.name: item.value for item in ours})
            self._on_change()
        except UsageError as error:
            self._settings = before
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def describe(item: ParameterField) -> ParameterDescriptor:
    """Return the descriptor that `ros2 param describe` and rqt show."""
    descriptor = ParameterDescriptor(
        name=item.name, description=item.description, read_only=item.change == "at start"
    )
    if item.choices:
        descriptor.additional_constraints = f"one of {', '.join(item.choices)}"
    low, high = item.range
    if math.isfinite(low) and math.isfinite(high):
        if isinstance(item.field.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def _declare(node: Node, item: ParameterField) -> Any:
    """Declare one parameter; return its value, which a file or argument may have overridden."""
    default = item.field.default
    value = list(default) if isinstance(default, tuple) else default
    try:
        return node.declare_parameter(item.name, value, describe(item)).value
    except (
        InvalidParameterTypeException,
        InvalidParameterValueException,
        ParameterUninitializedException,
    ) as error:
        raise UsageError(
            f"parameter {item.name}: must be a {type(value).__name__} {_allowed(item)}, like"
            f" its default {value!r}"
        ) from error


def _allowed(item: ParameterField) -> str:
    """Return the range or choices of a parameter, in words."""
    low, high = item.range
    if math.isfinite(low) and math.isfinite(high):
        return f"between {low:g} and {high:g}"
    return f"among {', '.join(item.choices)}" if item.choices else "of any value"


def _refuse_unknown(node: GuardedNode, known: list[str]) -> None:
    """Raise `UsageError` for the first parameter of a file or argument that nothing declared."""
    check_overrides(node.given_parameters)
    # rclpy ignores these silently.
    for name in sorted(node.given_parameters):
        if name.startswith(OVERRIDES):
            continue
        if name in REMOVED and not node.has_parameter(name):
            raise UsageError(f"parameter '{name}' is no longer there: {REMOVED[name]}")
        if not node.has_parameter(name):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known ones are {', '.join(known)}"
            raise UsageError(f"unknown parameter '{name}': {hint}")
