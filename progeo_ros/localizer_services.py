"""The services of `progeo_localizer`, apart from those of its lifecycle."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from nav_msgs.srv import LoadMap
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from progeo_core.errors import DataError, ModelMismatchError, ProgeoError, UsageError, counted
from progeo_core.localization.answer import Localization
from progeo_ros.conversions import horizontal_sigma_m
from progeo_ros.fleet_link import FleetLink
from progeo_ros.pipeline import Pipeline
from progeo_ros.process.guarded_node import GuardedLifecycleNode

ResponseT = TypeVar("ResponseT", Trigger.Response, SetBool.Response)
_NOT_CONFIGURED = "the node is not configured: configure it first"


class MissingMapError(DataError):
    """Map that is not where a request says."""


class LocalizerServices:
    """Services that ask the pipeline of a node; where that cannot be, the response says why."""

    def __init__(
        self,
        node: GuardedLifecycleNode,
        pipeline: Callable[[], Pipeline | None],
        fleet: Callable[[], FleetLink | None],
    ) -> None:
        """Create the services.

        pipeline, fleet: return what the node has while it is configured.
        """
        self._node, self._pipeline, self._fleet = node, pipeline, fleet
        # In a group of their own, as loading a map must not keep images waiting in DDS.
        slow = MutuallyExclusiveCallbackGroup()
        for kind, name, callback in (
            (LoadMap, "~/load_map", self.load_map),
            (Trigger, "~/reload_map", self.reload_map),
            (Trigger, "~/save_map", self.save_map),
            (SetBool, "~/set_mapping", self.set_mapping),
            (Trigger, "~/relocalize", self.relocalize),
            (Trigger, "~/localize_once", self.localize_once),
            (Trigger, "~/relocalize_fleet", self.relocalize_fleet),
        ):
            node.create_service(kind, name, callback, callback_group=slow)

    def load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        """Localize in another map, which the parameter `map` names from then on."""
        response.result = LoadMap.Response.RESULT_UNDEFINED_FAILURE
        try:
            path, places = self._load(request.map_url)
        except ProgeoError as error:
            self._node.get_logger().error(f"the map in use stays: {error}")
            response.result = _result_of(error)
            return response
        self._node.get_logger().info(f"map {path}: {counted(places, 'place')}, in use from now on")
        response.result = LoadMap.Response.RESULT_SUCCESS
        return response

    def _load(self, url: str) -> tuple[Path, int]:
        """Load the map that a URL names; return its file and number of places."""
        pipeline = self._pipeline()
        if pipeline is None:
            raise UsageError(_NOT_CONFIGURED)
        path = path_of_url(url)
        if not path.exists():
            raise MissingMapError(f"{path}: there is no map here")
        places = pipeline.reload_map(str(path))
        self._node.set_parameters([Parameter("map", value=str(path))])
        return path, places

    def reload_map(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Read the map again that the parameter `map` names."""
        path = self._map()
        return self._answer(
            response,
            lambda pipeline: f"{path}: {pipeline.reload_map(path)} places",
            otherwise="the map in use stays",
        )

    def relocalize(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Forget what earlier images said."""
        return self._answer(
            response, lambda pipeline: pipeline.forget(), otherwise="nothing is forgotten"
        )

    def localize_once(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answer the newest image; success: whether the answer is accepted."""
        return self._localize(response, lambda pipeline: pipeline.localize_newest())

    def relocalize_fleet(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Look for the newest image in the whole store of the fleet; success: whether it is there.

        If so, the map in use is that of the region around it.
        """

        def search(_: Pipeline) -> Localization:
            fleet = self._fleet()
            if fleet is None:
                raise UsageError("parameter fleet_uri is empty: there is no fleet's store to ask")
            return fleet.search()

        return self._localize(response, search)

    def _localize(
        self, response: Trigger.Response, localize: Callable[[Pipeline], Localization]
    ) -> Trigger.Response:
        answers: list[Localization] = []

        def serve(pipeline: Pipeline) -> str:
            answers.append(localize(pipeline))
            return describe_answer(answers[0])

        response = self._answer(response, serve, otherwise="no image is answered")
        response.success = response.success and answers[0].accepted
        return response

    def save_map(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Bring the index of the map up to date while mapping goes on."""
        return self._answer(
            response, lambda pipeline: pipeline.session.save(), otherwise="the map is not saved"
        )

    def set_mapping(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Start or stop mapping."""

        def serve(pipeline: Pipeline) -> str:
            if request.data:
                return pipeline.begin_mapping(self._map())
            return pipeline.finish_mapping()

        return self._answer(response, serve, otherwise="mapping stays as it is")

    def _map(self) -> str:
        return str(self._node.get_parameter("map").value)

    def _answer(
        self, response: ResponseT, serve: Callable[[Pipeline], str], otherwise: str
    ) -> ResponseT:
        """Fill a response with what was done, or with why not; otherwise: what that means."""
        pipeline = self._pipeline()
        response.success, response.message = False, _NOT_CONFIGURED
        if pipeline is None:
            return response
        try:
            response.success, response.message = True, serve(pipeline)
        except ProgeoError as error:
            self._node.get_logger().error(f"{otherwise}: {error}")
            response.success, response.message = False, str(error)
        return response


def path_of_url(url: str) -> Path:
    """Return the file that a `map_url` names: a path, file:///… or package://PACKAGE/….

    Raises `UsageError` for any other, and for a package that is not there.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if not url:
        raise UsageError("map_url is empty: give the path of a map, NAME.progeo")
    if not parts.scheme:
        return Path(url).expanduser()
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return Path(path)
    if parts.scheme == "package":
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

        try:
            return Path(get_package_share_directory(parts.netloc)) / path.lstrip("/")
        except (PackageNotFoundError, ValueError, OSError) as error:
            # OSError: no workspace is sourced, so that there are no packages at all.
            raise UsageError(f"map_url {url}: there is no package '{parts.netloc}'") from error
    raise UsageError(f"map_url {url}: give a path, file:///PATH or package://PACKAGE/PATH")


def describe_answer(answer: Localization) -> str:
    """Return pose and certainty of an answer in one line, for people."""
    estimate = answer.estimate
    x, y, z = estimate.position
    words = [f"{answer.state}: x {x:.2f}, y {y:.2f}, z {z:.2f} m"]
    if not math.isnan(estimate.yaw_rad):
        words.append(f"yaw {estimate.yaw_rad:.2f} rad")
    if answer.geodetic is not None:
        words.append(f"latitude {answer.geodetic[0]:.7f}, longitude {answer.geodetic[1]:.7f}")
    words += [
        f"confidence {estimate.confidence:.2f}",
        f"standard deviation {horizontal_sigma_m(estimate):.2f} m",
        f"by {answer.method} ({answer.reason})",
    ]
    return ", ".join(words)


def _result_of(error: ProgeoError) -> int:
    """Return the code of nav_msgs/LoadMap for what went wrong."""
    codes = LoadMap.Response
    for kind, code in (
        (ModelMismatchError, codes.RESULT_INVALID_MAP_METADATA),
        (MissingMapError, codes.RESULT_MAP_DOES_NOT_EXIST),
        (DataError, codes.RESULT_INVALID_MAP_DATA),
    ):
        if isinstance(error, kind):
            return int(code)
    return int(codes.RESULT_UNDEFINED_FAILURE)
