#!/usr/bin/env bash
# Install progeo_ros beside a sourced ROS 2 distribution; `make robot` runs this.
#
#   source /opt/ros/jazzy/setup.bash
#   make robot              # TORCH=cpu: PyTorch's CPU builds; TORCH=system: the torch that is there
#   source WORKSPACE/install/setup.bash
#   progeo demo
#
# A virtual environment that sees the packages of the distribution gets what rosdep cannot install,
# in versions that fit the distribution. The package is built with its Python, so that `progeo`,
# `ros2 run` and launch files use it without further ado.
set -euo pipefail

fail() {
  echo "make robot: $1" >&2
  exit 2
}

package=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# A clone in the src folder of a workspace, or a workspace of its own.
workspace=$package
[[ $(basename "$(dirname "$package")") != src ]] || workspace=$(dirname "$(dirname "$package")")
environment=$workspace/.progeo
torch=${TORCH:-cuda}

case ${ROS_DISTRO:-} in
  humble) constraints=humble ;;
  jazzy | kilted) constraints=jazzy ;; # both are for Ubuntu 24.04
  "") fail "no distribution is sourced: source /opt/ros/jazzy/setup.bash (or humble, kilted)" ;;
  *) fail "ROS 2 $ROS_DISTRO is not known here: humble, jazzy and kilted are" ;;
esac
[[ $torch =~ ^(cpu|cuda|system)$ ]] || fail "TORCH is cpu, cuda or system, not $torch"
python3 -c "import rclpy" 2>/dev/null ||
  fail "$(command -v python3) cannot import rclpy: deactivate other environments and source $ROS_DISTRO again"
missing=$(python3 - <<'CHECK'
from importlib.util import find_spec
needed = ("diagnostic_msgs", "geometry_msgs", "nav_msgs", "sensor_msgs", "std_srvs", "visualization_msgs")
print(*(name for name in needed if not find_spec(name)))
CHECK
)
[[ -z $missing ]] || fail "$missing: not installed; rosdep installs what the distribution has:
  rosdep install --from-paths $package --ignore-src --dependency-types exec --skip-keys \
    'python3-faiss python3-pytorch-pip python3-rosbags-pip python3-torchvision-pip'"

[[ -x $environment/bin/python ]] || python3 -m venv --system-site-packages "$environment" ||
  fail "no virtual environment could be made: apt install python3-venv"
touch "$environment/COLCON_IGNORE"
python=$environment/bin/python

install() {
  "$python" -m pip install --quiet --constraint "$package/config/robot/constraints-$constraints.txt" "$@"
}

case $torch in
  cpu) install --index-url https://download.pytorch.org/whl/cpu torch torchvision ;;
  cuda) install torch torchvision ;;
esac
"$python" - "$torch" <<'CHECK' || fail "torch and torchvision do not work together: see docs/jetson.md"
import sys
import torch, torchvision
built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU"
print(f"torch {torch.__version__} and torchvision {torchvision.__version__}, for {built}")
if sys.argv[1] == "cpu" and torch.version.cuda:
    sys.exit("pip took builds for CUDA: https://download.pytorch.org/whl/cpu was not reached")
CHECK

# What setup.py asks for, save torch, and OpenCV where apt's, which pip does not see, is new enough;
# gtsam is for the pose graph.
known="torch|torchvision"
! "$python" -c "import cv2; assert cv2.__version__ >= '4.6'" 2>/dev/null ||
  known+="|opencv-python-headless"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$package" && "$python" setup.py --quiet egg_info --egg-base "$folder")
sed '/^\[/,$d; /^$/d' "$folder"/*.egg-info/requires.txt | grep -Ev "^($known)([<>=]|$)" > "$folder/needed.txt"
echo gtsam >> "$folder/needed.txt"
"$python" -c "import colcon_core" 2>/dev/null || echo colcon-common-extensions >> "$folder/needed.txt"
install --requirement "$folder/needed.txt"

cd "$workspace"
"$python" -m colcon build --packages-select progeo_ros
echo "Done. In every new shell: source $workspace/install/setup.bash"
