"""Start progeo_localizer, configure and activate it: `ros2 launch progeo_ros localize.launch.py`.

Written for ROS 2 Humble, Jazzy and Kilted. `--show-args` lists the arguments.
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

SHARE = Path(get_package_share_directory("progeo_ros"))
# Arguments that are parameters, by the same name or another one.
TEXTS = ("map", "model", "fleet_uri", "image_transport", "mapping_reference", "base_frame")
LISTS = ("cameras", "camera_extrinsics", "depth_topics")
SWITCHES = {
    "sequence": "localizer.sequence",
    "mapping": "mapping",
    "close_loops": "close_loops",
}

ARGUMENTS = [
    DeclareLaunchArgument(
        "map", default_value="", description="Map file, NAME.progeo; empty: as in params_file"
    ),
    DeclareLaunchArgument(
        "model",
        default_value="",
        description="Model that made the map; empty: as in params_file, or as the map says",
    ),
    DeclareLaunchArgument(
        "fleet_uri",
        default_value="",
        description="Store of a fleet's map: a folder, s3://BUCKET/PATH, gs:// or az://;"
        " empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="Image topics separated by commas, without the transport's suffix;"
        " empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="raw or compressed images; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "base_frame",
        default_value="",
        description="Frame of the robot, whose pose is published; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "camera_extrinsics",
        default_value="",
        description="Where each camera is in base_frame, separated by commas: x y z qx qy qz qw of"
        " its optical frame; empty: as in params_file, or from /tf_static",
    ),
    DeclareLaunchArgument(
        "depth_topics",
        default_value="",
        description="Depth beside each camera, separated by commas, for 3-D points of keyframes;"
        " empty: as in params_file",
    ),
    DeclareLaunchArgument("odom", default_value="odom", description="Topic of the odometry"),
    DeclareLaunchArgument(
        "sequence",
        default_value="",
        choices=["", "true", "false"],
        description="Follow the robot from image to image with the place filter and the odometry;"
        " empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "mapping",
        default_value="",
        choices=["", "true", "false"],
        description="Write keyframes to the map from the start; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "mapping_reference",
        default_value="",
        choices=["", "odometry", "pose", "pose_with_covariance", "odometry_reference", "fix", "tf"],
        description="Where keyframes are in the map: the odometry, the kind of message on the topic"
        " reference, or tf; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "reference", default_value="", description="Topic of the positions that mapping follows"
    ),
    DeclareLaunchArgument(
        "close_loops",
        default_value="",
        choices=["", "true", "false"],
        description="Publish where the robot has been before; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "namespace", default_value="", description="Namespace of the node and of relative topics"
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "localize.yaml"),
        description="Parameter file; the other arguments override it",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="Configure and activate the node; false leaves that to a lifecycle manager",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=["true", "false"],
        description="Start the node again when it dies; false ends the launch with it",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=["true", "false"],
        description="Show pose and matches in RViz",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Lowest severity that the node logs",
    ),
    DeclareLaunchArgument(
        "fastdds_profile",
        default_value="",
        description="Fast DDS profile: shipped for the one in this package, which raw images need"
        " in the camera driver too; or a path; empty leaves the environment as it is",
    ),
]


def chosen_parameters(context: LaunchContext) -> dict:
    """Return the parameters that arguments override; empty arguments override nothing."""
    value = {
        name: LaunchConfiguration(name).perform(context)
        for name in (*TEXTS, *SWITCHES, *LISTS, "use_sim_time")
    }
    # Typed, or launch would read a map named 2024 as a number.
    parameters = {
        name: ParameterValue(value[name], value_type=str) for name in TEXTS if value[name]
    }
    parameters |= {
        parameter: value[name] == "true" for name, parameter in SWITCHES.items() if value[name]
    }
    parameters |= {
        name: [item.strip() for item in value[name].split(",")] for name in LISTS if value[name]
    }
    return {**parameters, "use_sim_time": value["use_sim_time"] == "true"}


def lifecycle_events(node: LifecycleNode) -> list:
    """Return the actions that configure the node, and activate it whenever that succeeded."""

    def change(transition: int) -> EmitEvent:
        event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
        return EmitEvent(event=event)

    # Only after configuring: a node that someone deactivates stays inactive.
    activate_when_configured = RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state="configuring",
            goal_state="inactive",
            entities=[change(Transition.TRANSITION_ACTIVATE)],
        )
    )
    # Whenever the process starts, so that a respawned node does not stay unconfigured.
    configure_when_started = RegisterEventHandler(
        OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])
    )
    return [activate_when_configured, configure_when_started]


def profile_environment(context: LaunchContext) -> list:
    """Return the action that points Fast DDS to a profile, if one is asked for."""
    profile = LaunchConfiguration("fastdds_profile").perform(context)
    # Fast DDS fails on an empty variable.
    if not profile:
        return []
    path = str(SHARE / "config" / "fastdds.xml") if profile == "shipped" else profile
    # Fast DDS 3, which came with Kilted, renamed the variable.
    old = os.environ.get("ROS_DISTRO") in {"humble", "iron", "jazzy"}
    prefix = "FASTRTPS" if old else "FASTDDS"
    return [SetEnvironmentVariable(f"{prefix}_DEFAULT_PROFILES_FILE", path)]


def actions(context: LaunchContext) -> list:
    """Return what to start, now that the arguments are known."""
    argument = {
        name: LaunchConfiguration(name).perform(context)
        for name in ("namespace", "params_file", "log_level", "autostart", "respawn", "rviz")
    }
    respawn = argument["respawn"] == "true"
    localizer = LifecycleNode(
        package="progeo_ros",
        executable="progeo_localizer",
        name="progeo_localizer",
        namespace=argument["namespace"],
        parameters=[argument["params_file"], chosen_parameters(context)],
        remappings=remappings(context),
        ros_arguments=[
            "--log-level",
            f"{logger_name(argument['namespace'])}:={argument['log_level']}",
        ],
        output="screen",
        emulate_tty=True,
        respawn=respawn,
        respawn_delay=2.0,
        # A misspelt parameter ends the node: nothing is left to launch then.
        on_exit=[] if respawn else [Shutdown(reason="progeo_localizer ended")],
    )
    started = profile_environment(context)
    if argument["autostart"] == "true":
        started += lifecycle_events(localizer)
    # The handlers before the process, or its start would be missed.
    started.append(localizer)
    if argument["rviz"] == "true":
        started.append(rviz(argument["namespace"]))
    return started


def remappings(context: LaunchContext) -> list:
    """Return the topics of odometry and reference."""
    odom, reference = (LaunchConfiguration(name).perform(context) for name in ("odom", "reference"))
    inputs = ("pose_reference", "fix_reference") if reference else ()
    return [("odom", odom), *((name, reference) for name in inputs)]


def logger_name(namespace: str) -> str:
    """Return the node's logger: at debug, those of rcl and DDS would fill the screen."""
    return ".".join([*filter(None, namespace.split("/")), "progeo_localizer"])


def rviz(namespace: str) -> Node:
    """Return RViz with the shipped configuration on the topics of the node."""
    prefix = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    node = "/progeo_localizer"
    # RViz picks the transport by the topic's name; the node's topic has no such suffix.
    shown = [(f"{node}/match_image/compressed", f"{prefix}{node}/match_image")]
    if prefix:
        topics = [f"{node}/{name}" for name in ("pose", "matches", "map_markers", "loop_markers")]
        topics += ["/progeo_pose_graph/path", "/initialpose"]
        shown += [(topic, prefix + topic) for topic in topics]
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "config" / "localize.rviz")],
        remappings=shown,
    )


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and what they start."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=actions)])
