"""The lifecycle node `progeo_localizer`: camera images in, poses in a map out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from progeo_core.errors import ProgeoError, counted
from progeo_core.fleet.robot_fleet import FleetSettings, RobotFleet
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings
from progeo_ros.fleet_link import FleetLink
from progeo_ros.loaded_map import LocalizerOptions
from progeo_ros.localizer_services import LocalizerServices
from progeo_ros.mapping_session import SessionOptions
from progeo_ros.outputs.diagnostics import NodeHealth, node_status, publish_diagnostics
from progeo_ros.parameters import NodeParameters
from progeo_ros.pipeline import Pipeline
from progeo_ros.process.guarded_node import GuardedLifecycleNode
from progeo_ros.process.log_forwarding import forward_logs, stop_forwarding
from progeo_ros.process.manager_bond import ManagerBond
from progeo_ros.process.rclpy_versions import lifecycle_state
from progeo_ros.process.spinning import run_node
from progeo_ros.settings import NODE, NodeSettings

_log = logging.getLogger(__name__)


class LocalizerNode(GuardedLifecycleNode):
    """Node that loads at configure and answers while active; where it cannot, it says why.

    on_image → LatestFrameWorker → Localizer.localize → publish: see `Pipeline`.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters, services and diagnostics; `UsageError` for a bad parameter.

        options: what every rclpy node takes, such as `context` or `parameter_overrides`.
        """
        super().__init__(NODE, **options)
        self._log_handler = forward_logs(self.get_logger())
        self._pipeline: Pipeline | None = None
        self._fleet: FleetLink | None = None
        self._bond = ManagerBond(self)
        self._fault = ""
        self._node_parameters = NodeParameters(
            self,
            is_configured=lambda: self._pipeline is not None,
            on_change=self._on_parameters,
        )
        publish_diagnostics(self, self._statuses)
        LocalizerServices(self, lambda: self._pipeline, lambda: self._fleet)

    @property
    def settings(self) -> NodeSettings:
        """Return the current settings of the node."""
        return self._node_parameters.get(NodeSettings)

    @property
    def options(self) -> LocalizerOptions:
        """Return the current settings of everything behind the localizer."""
        return LocalizerOptions(
            self._node_parameters.get(LocalizerSettings),
            self._node_parameters.get(ConsensusSettings),
            self._node_parameters.get(PlaceFilterSettings),
        )

    @property
    def session_options(self) -> SessionOptions:
        """Return the settings of keyframes and loop closures."""
        return SessionOptions(
            self._node_parameters.get(KeyframeSettings),
            self._node_parameters.get(LoopClosureSettings),
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load map and model; fail with one message, and stay unconfigured, if that cannot be."""
        try:
            pipeline = self._load()
        except ProgeoError as error:
            return self._refuse(str(error))
        except Exception as error:
            # rclpy would swallow it and leave the node finalized without a word.
            _log.exception("configuring failed")
            return self._refuse(f"{type(error).__name__}: {error}")
        self._fault = ""
        loaded = pipeline.loaded
        places = "no map yet"
        if loaded is not None:
            places = f"map {loaded.place_map.path}: {counted(loaded.places, 'place')}"
        self.get_logger().info(f"{places}; model {pipeline.model}")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the outputs, then subscribe to the cameras."""
        assert self._pipeline is not None
        outcome = super().on_activate(state)
        self._pipeline.start()
        if self._fleet is not None:
            self._fleet.start()
        self._bond.start()
        self.get_logger().info(f"localizing images of {', '.join(self._pipeline.topics)}")
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, publish the answer that is being made, then close the outputs."""
        assert self._pipeline is not None
        self._bond.stop()
        if self._fleet is not None:
            self._fleet.stop()
        self._pipeline.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back the map, the model and the outputs."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back everything, from any state."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back everything and start again from unconfigured."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stop all threads before the middleware goes."""
        self._release()
        stop_forwarding(self._log_handler)
        super().destroy_node()

    def _load(self) -> Pipeline:
        """Create the pipeline, and the link to the fleet's store where one is named."""
        settings, asked = self.settings, self._node_parameters.get(FleetSettings)
        fleet = RobotFleet(settings.fleet_uri, asked) if settings.fleet_uri else None
        try:
            if fleet is not None:
                fleet.open()
            pipeline = Pipeline(self, settings, self.options, self.session_options, fleet)
        except BaseException:
            if fleet is not None:
                fleet.close()
            raise
        if fleet is not None:
            self._fleet = FleetLink(self, fleet, pipeline, asked.relocalize_s)
        self._pipeline = pipeline
        return pipeline

    def _refuse(self, reason: str) -> TransitionCallbackReturn:
        self._fault = reason
        self.get_logger().error(f"cannot configure: {reason}")
        return TransitionCallbackReturn.FAILURE

    def _release(self) -> None:
        self._bond.stop()
        fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.close()
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def _on_parameters(self) -> None:
        if self._pipeline is not None:
            self._pipeline.adopt(self.options)

    def _statuses(self) -> list[DiagnosticStatus]:
        pipeline = self._pipeline
        cameras = (
            [] if pipeline is None else pipeline.camera_statuses(self.settings.image_timeout_s)
        )
        session = [] if pipeline is None else [pipeline.session.status()]
        fleet = self._fleet
        link = [] if fleet is None else [fleet.status()]
        return [node_status(self._health(pipeline)), *session, *link, *cameras]

    def _health(self, pipeline: Pipeline | None) -> NodeHealth:
        loaded = None if pipeline is None else pipeline.loaded
        datum = None if loaded is None else loaded.place_map.datum
        return NodeHealth(
            state=lifecycle_state(self),
            fault=self._fault,
            map_path=self.settings.map if loaded is None else str(loaded.place_map.path),
            places=0 if loaded is None else loaded.places,
            model=self.settings.model if pipeline is None else pipeline.model,
            datum="" if datum is None else ",".join(f"{value:.12g}" for value in datum),
            odometry_dropped=0 if pipeline is None else pipeline.odometry_dropped,
            publish_failures=0 if pipeline is None else pipeline.publishers.failures,
            clock_ns=self.get_clock().now().nanoseconds,
            failures=self.callback_failures.counts(),
        )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code, 2 for a bad parameter."""
    return run_node(NODE, LocalizerNode, args)
