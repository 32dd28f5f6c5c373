"""Close loops and correct the drive: `ros2 launch progeo_ros slam.launch.py cameras:=/camera`.

The localizer finds where the robot has been before, and progeo_pose_graph corrects the odometry
with that: a path, poses and map -> odom. No map is needed; `map:=NAME.progeo` localizes in one,
too, and `mapping:=true` records one. `--show-args` lists the arguments.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("progeo_ros"))

# Everything else is an argument of localize.launch.py and passes through.
ARGUMENTS = [
    DeclareLaunchArgument("odom", default_value="odom", description="Topic of the odometry"),
    DeclareLaunchArgument(
        "namespace", default_value="", description="Namespace of the nodes and of relative topics"
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock",
    ),
    DeclareLaunchArgument(
        "pose_graph_params_file",
        default_value=str(SHARE / "config" / "pose_graph.yaml"),
        description="Parameter file of progeo_pose_graph; the other arguments override it",
    ),
    DeclareLaunchArgument(
        "use_pose",
        default_value="false",
        choices=["true", "false"],
        description="Use the localizer's poses in the map, too; for a map that was there before the"
        " drive",
    ),
    DeclareLaunchArgument(
        "publish_map_to_odom",
        default_value="false",
        choices=["true", "false"],
        description="Broadcast tf map to odom; needs tf2_msgs",
    ),
]
SWITCHES = ("use_sim_time", "use_pose", "publish_map_to_odom")


def pose_graph() -> Node:
    """Return the node that corrects the drive."""
    switches = {
        name: ParameterValue(LaunchConfiguration(name), value_type=bool) for name in SWITCHES
    }
    return Node(
        package="progeo_ros",
        executable="progeo_pose_graph",
        name="progeo_pose_graph",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("pose_graph_params_file"), switches],
        remappings=[
            ("odom", LaunchConfiguration("odom")),
            ("loop_closure", "progeo_localizer/loop_closure"),
            ("pose", "progeo_localizer/pose"),
        ],
        output="screen",
        emulate_tty=True,
        on_exit=[Shutdown(reason="progeo_pose_graph ended")],
    )


def generate_launch_description() -> LaunchDescription:
    """Return the localizer, which closes loops, and the pose graph."""
    localizer = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "localize.launch.py")),
        launch_arguments={"close_loops": "true"}.items(),
    )
    return LaunchDescription([*ARGUMENTS, localizer, pose_graph()])
