"""The launch file: its shape everywhere, its behaviour where a ROS distribution has launch."""

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch" / "localize.launch.py"
ARGUMENTS = (
    "map",
    "model",
    "fleet_uri",
    "cameras",
    "image_transport",
    "base_frame",
    "camera_extrinsics",
    "depth_topics",
    "odom",
    "sequence",
    "mapping",
    "mapping_reference",
    "reference",
    "close_loops",
    "namespace",
    "params_file",
    "autostart",
    "respawn",
    "use_sim_time",
    "rviz",
    "log_level",
    "fastdds_profile",
)


def calls(name: str) -> list[ast.Call]:
    """Return all calls of a function in the launch file."""
    tree = ast.parse(LAUNCH_FILE.read_text(encoding="utf-8"))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def test_it_compiles_and_has_the_entry_point_of_launch() -> None:
    source = LAUNCH_FILE.read_text(encoding="utf-8")
    compile(source, str(LAUNCH_FILE), "exec")
    functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert "generate_launch_description" in functions


def test_every_argument_has_a_default_and_a_description() -> None:
    declared = calls("DeclareLaunchArgument")
    assert tuple(ast.literal_eval(call.args[0]) for call in declared) == ARGUMENTS
    for call in declared:
        assert {"default_value", "description"} <= set(keywords(call))
        assert len(ast.literal_eval(keywords(call)["description"])) > 15


def test_every_argument_is_used() -> None:
    # Each name stands in its declaration and, as a string again, where its value is taken.
    tree = ast.parse(LAUNCH_FILE.read_text(encoding="utf-8"))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for name in ARGUMENTS:
        assert strings.count(name) >= 2, name


def _value_of(name: str) -> Any:
    """Return the literal that the launch file gives a name."""
    tree = ast.parse(LAUNCH_FILE.read_text(encoding="utf-8"))
    (value,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return value


def test_switches_are_parameters_that_are_true_or_false() -> None:
    from progeo_ros.parameters import parameter_fields

    fields = {item.name: item for item in parameter_fields()}
    switches = _value_of("SWITCHES")
    assert "localizer.sequence" in switches.values()
    for argument, parameter in switches.items():
        assert argument in ARGUMENTS
        assert isinstance(fields[parameter].field.default, bool)


def test_texts_are_parameters_of_the_same_name() -> None:
    from progeo_ros.parameters import parameter_fields

    fields = {item.name: item for item in parameter_fields()}
    texts = _value_of("TEXTS")
    assert "fleet_uri" in texts
    for name in texts:
        assert name in ARGUMENTS
        assert isinstance(fields[name].field.default, str)


def test_choices_are_those_of_the_parameters() -> None:
    from progeo_ros.parameters import parameter_fields

    fields = {item.name: item for item in parameter_fields()}
    transport, reference = fields["image_transport"], fields["mapping_reference"]
    choices = {
        ast.literal_eval(call.args[0]): ast.literal_eval(keywords(call)["choices"])
        for call in calls("DeclareLaunchArgument")
        if "choices" in keywords(call)
    }
    assert choices["image_transport"] == ["", *transport.choices]
    assert choices["mapping_reference"] == ["", *reference.choices]
    assert choices["autostart"] == choices["rviz"] == choices["use_sim_time"] == ["true", "false"]


def test_the_node_it_starts_is_the_one_that_is_installed() -> None:
    (node,) = calls("LifecycleNode")
    given = keywords(node)
    assert ast.literal_eval(given["package"]) == "progeo_ros"
    executable = ast.literal_eval(given["executable"])
    assert (ROOT / "resource" / "executables" / executable).is_file()
    assert ast.literal_eval(given["name"]) == "progeo_localizer"


def test_rviz_and_foxglove_show_topics_of_the_nodes() -> None:
    rviz = (ROOT / "config" / "localize.rviz").read_text(encoding="utf-8")
    displays = {
        display["Topic"]["Value"]: display
        for display in yaml.safe_load(rviz)["Visualization Manager"]["Displays"]
        if "Topic" in display
    }
    foxglove = json.loads((ROOT / "config/localize.foxglove.json").read_text(encoding="utf-8"))
    scene = foxglove["configById"]["3D!map"]
    names = ("pose", "matches", "map_markers", "loop_markers")
    shown = {*(f"/progeo_localizer/{name}" for name in names), "/progeo_pose_graph/path"}
    assert set(scene["topics"]) == shown
    assert set(displays) == {*shown, "/progeo_localizer/match_image/compressed"}
    for latched in ("/progeo_localizer/map_markers", "/progeo_pose_graph/path"):
        assert displays[latched]["Topic"]["Durability Policy"] == "Transient Local"
    assert scene["publish"]["poseEstimateTopic"] == "/initialpose"
    image = foxglove["configById"]["Image!match"]["imageMode"]["imageTopic"]
    assert image == "/progeo_localizer/match_image"
    panels = re.findall(r'"(?:first|second)": "([^"]+)"', json.dumps(foxglove["layout"]))
    assert set(panels) == set(foxglove["configById"])


@pytest.fixture
def launch_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the launch file, where launch is."""
    pytest.importorskip("launch_ros", reason="only a ROS distribution has launch and launch_ros")
    from ament_index_python import packages

    monkeypatch.setattr(packages, "get_package_share_directory", lambda _: str(ROOT))
    spec = importlib.util.spec_from_file_location("localize_launch", LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(module: ModuleType, **arguments: str) -> list[Any]:
    """Return the actions that some arguments lead to."""
    import launch

    context = launch.LaunchContext()
    for declared in module.ARGUMENTS:
        default = "".join(part.perform(context) for part in declared.default_value)
        context.launch_configurations[declared.name] = arguments.get(declared.name, default)
    return list(module.actions(context))


def test_autostart_adds_configuring_and_activating(launch_module: ModuleType) -> None:
    from launch.actions import RegisterEventHandler
    from launch_ros.actions import LifecycleNode

    kinds = [type(action) for action in started(launch_module, map="/maps/office.progeo")]
    assert kinds == [RegisterEventHandler, RegisterEventHandler, LifecycleNode]
    kinds = [type(action) for action in started(launch_module, autostart="false")]
    assert kinds == [LifecycleNode]


def test_a_node_that_dies_ends_the_launch(
    launch_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from launch import LaunchDescription, LaunchService

    executables = tmp_path / "lib" / "progeo_ros"
    executables.mkdir(parents=True)
    (executables / "progeo_localizer").write_text("#!/bin/sh\nexit 2\n", encoding="utf-8")
    (executables / "progeo_localizer").chmod(0o755)
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "progeo_ros"
    marker.parent.mkdir(parents=True)
    marker.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    service = LaunchService()
    actions = started(launch_module, autostart="false")
    service.include_launch_description(LaunchDescription(actions))
    # Returns at all: without the node, nothing else would end it.
    service.run()


def test_the_profile_is_set_only_when_asked_for(launch_module: ModuleType) -> None:
    from launch.actions import SetEnvironmentVariable

    def variables(**arguments: str) -> list[Any]:
        actions = started(launch_module, **arguments)
        return [action for action in actions if isinstance(action, SetEnvironmentVariable)]

    assert variables() == []
    assert len(variables(fastdds_profile="shipped")) == 1


def test_given_arguments_override_the_file(launch_module: ModuleType) -> None:
    import launch

    context = launch.LaunchContext()
    for declared in launch_module.ARGUMENTS:
        context.launch_configurations[declared.name] = ""
    assert set(launch_module.chosen_parameters(context)) == {"use_sim_time"}
    context.launch_configurations.update(map="/m.progeo", cameras="/a, /b", use_sim_time="true")
    context.launch_configurations["fleet_uri"] = "/mnt/fleet"
    parameters = launch_module.chosen_parameters(context)
    assert "fleet_uri" in parameters
    assert parameters["cameras"] == ["/a", "/b"]
    assert parameters["use_sim_time"] is True
    assert "model" not in parameters
