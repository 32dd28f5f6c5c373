"""The launch files around localize.launch.py: what they start, and that its arguments fit."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "launch"
INCLUDED = "localize.launch.py"


def calls(file: str, name: str) -> list[ast.Call]:
    """Return all calls of a function in a launch file."""
    tree = ast.parse((LAUNCH / file).read_text(encoding="utf-8"))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def arguments(file: str) -> dict[str, dict[str | None, ast.expr]]:
    return {
        ast.literal_eval(call.args[0]): keywords(call)
        for call in calls(file, "DeclareLaunchArgument")
    }


@pytest.mark.parametrize(
    ("file", "passed"),
    [("map.launch.py", {"mapping": "true"}), ("slam.launch.py", {"close_loops": "true"})],
)
def test_they_turn_on_what_they_are_for(file: str, passed: dict[str, str]) -> None:
    (include,) = calls(file, "IncludeLaunchDescription")
    given = keywords(include)["launch_arguments"]
    assert isinstance(given, ast.Call)
    assert isinstance(given.func, ast.Attribute)
    assert ast.literal_eval(given.func.value) == passed
    assert INCLUDED in (LAUNCH / file).read_text(encoding="utf-8")
    assert set(passed) <= set(arguments(INCLUDED))


@pytest.mark.parametrize("file", ["map.launch.py", "slam.launch.py"])
def test_arguments_that_both_declare_mean_the_same(file: str) -> None:
    own, included = arguments(file), arguments(INCLUDED)
    for name in set(own) & set(included) - {"map"}:
        default = [ast.literal_eval(one[name]["default_value"]) for one in (own, included)]
        assert default[0] == default[1], name
    for name, declared in own.items():
        assert len(ast.literal_eval(declared["description"])) > 15, name


def test_a_map_to_write_has_no_default() -> None:
    assert "default_value" not in arguments("map.launch.py")["map"]


def test_the_pose_graph_is_installed_and_hears_the_localizer() -> None:
    from progeo_ros.parameters import POSE_GRAPH_GROUPS, parameter_fields

    (node,) = calls("slam.launch.py", "Node")
    executable = ast.literal_eval(keywords(node)["executable"])
    assert (ROOT / "resource" / "executables" / executable).is_file()
    source = (ROOT / "progeo_ros" / "pose_graph_node.py").read_text(encoding="utf-8")
    remappings = keywords(node)["remappings"]
    assert isinstance(remappings, ast.List)
    for pair in remappings.elts:
        assert isinstance(pair, ast.Tuple)
        topic = ast.literal_eval(pair.elts[0])
        assert topic == "odom" or f'"{topic}"' in source
    names = {item.name for item in parameter_fields(POSE_GRAPH_GROUPS)}
    assert {"use_pose", "publish_map_to_odom"} <= names
