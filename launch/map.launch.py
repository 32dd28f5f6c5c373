"""Drive and record a map: `ros2 launch progeo_ros map.launch.py map:=site.progeo`.

Keyframes with their positions go into the map while the robot drives, so that nothing is lost when
it stops. `mapping_reference` says where they are: by the odometry, a SLAM's poses or GPS fixes.
An existing map is extended. `--show-args` lists the arguments.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SHARE = Path(get_package_share_directory("progeo_ros"))

# Everything else is an argument of localize.launch.py and passes through.
ARGUMENTS = [
    DeclareLaunchArgument("map", description="Map file to write or to continue, NAME.progeo"),
]


def generate_launch_description() -> LaunchDescription:
    """Return the localizer, which maps from its start."""
    localizer = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "localize.launch.py")),
        launch_arguments={"mapping": "true"}.items(),
    )
    return LaunchDescription([*ARGUMENTS, localizer])
