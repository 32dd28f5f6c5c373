"""README and docs: their tables list what the code has, their links and commands work."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image
from typer.testing import CliRunner

from progeo_core import cli
from progeo_core.train.options import read_options
from test.command_tree import command_tree, named_commands

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *(README, ROOT / "CHANGELOG.md", ROOT / "training" / "README.md"),
    *(*DOCS, *sorted((ROOT / "config" / "backends").glob("*.md"))),
]
LAUNCH = ROOT / "launch"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def tokens(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def inline(page: Path) -> Iterator[Token]:
    """Yield what stands in the text of a page: words, links, pictures."""
    for token in tokens(page):
        yield from token.children or ()


def headings(page: Path) -> list[str]:
    """Return the text of the headings of a page."""
    found = tokens(page)
    return [
        following.content
        for token, following in itertools.pairwise(found)
        if token.type == "heading_open"
    ]


def anchor(heading: str) -> str:
    """Return the link to a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    text = page.read_text(encoding="utf-8")
    return re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1].split("\n#")[0]


def table_keys(text: str) -> list[str]:
    """Return the first code word of every table row."""
    return re.findall(r"^\|(?: \w+ \|)? `([^`]+)` \|", text, re.M)


def commands(page: Path) -> list[str]:
    """Return the shell commands in the code blocks of a page, continued lines joined."""
    blocks = [
        token.content
        for token in tokens(page)
        if token.type == "code_block" or (token.type == "fence" and token.info in {"", "bash"})
    ]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [part.strip() for line in lines for part in line.split(" && ")]


def shell_words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def all_commands() -> list[str]:
    return [name for name, command in named_commands(command_tree()) if not command.hidden]


def docs_script(name: str) -> ModuleType:
    """Return a script beside the pages, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@every_page
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for token in inline(page):
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        if not target or re.match(r"https?:|mailto:", target):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if heading:
            assert heading in {anchor(one) for one in headings(linked)}, target


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_every_page_is_reached_from_the_readme(page: Path) -> None:
    linked = {str(token.attrGet("href")) for token in inline(README) if token.type == "link_open"}
    assert name_of(page) in linked


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_every_page_begins_with_its_one_title(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    titles = [token for token in tokens(page) if token.type == "heading_open" and token.tag == "h1"]
    assert len(titles) == 1


def test_the_animation_moves_and_is_small() -> None:
    path = ROOT / "resource" / "localization.webp"
    assert path.stat().st_size <= 1_500_000
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) > 10


def test_the_gallery_shows_each_of_its_pictures_and_is_small() -> None:
    page = ROOT / "docs" / "gallery.md"
    shown = {token.attrGet("src") for token in inline(page) if token.type == "image"}
    kept = sorted((ROOT / "docs" / "gallery").iterdir())
    assert shown == {f"gallery/{one.name}" for one in kept}
    assert sum(one.stat().st_size for one in kept) < 1_000_000


TASK_PAGES = ("benchmarks", "cli", "gallery", "jetson", "python_api", "ros_interface")


@pytest.mark.parametrize("name", TASK_PAGES)
def test_pages_end_with_what_can_go_wrong(name: str) -> None:
    assert headings(ROOT / "docs" / f"{name}.md")[-1] == "What can go wrong"


@every_page
def test_every_progeo_command_is_understood(page: Path) -> None:
    for command in commands(page):
        found = re.match(r"(?:\.venv/bin/|ros2 run progeo_ros )?progeo (.+)", command)
        if found is None:
            continue
        words = shell_words(found[1])
        group: Any = command_tree()
        if words[0].startswith("--"):
            assert words[0] in {option for known in group.params for option in known.opts}, command
            continue
        while isinstance(group, typer.core.TyperGroup):
            assert words[0] in group.commands, command
            group = group.commands[words.pop(0)]
        try:
            group.make_context(command, words)
        except Exception as error:
            pytest.fail(f"{command}: {getattr(error, 'message', error)}")


@every_page
def test_every_launch_file_and_argument_exists(page: Path) -> None:
    for command in commands(page):
        words = shell_words(command)
        if words[:3] != ["ros2", "launch", "progeo_ros"]:
            continue
        known = launch_arguments("localize.launch.py") + launch_arguments(words[3])
        named = [word.split(":=")[0] for word in words[4:]]
        assert set(named) <= set(known), command


@every_page
def test_every_node_that_is_run_is_an_executable(page: Path) -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name in re.findall(r"ros2 run progeo_ros (\w+)", page.read_text(encoding="utf-8")):
        assert f'"{name} = progeo' in setup, name


@every_page
def test_every_make_target_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(commands(page)), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_readme_names_the_two_commands() -> None:
    """Beside `make -C progeo_ros robot`, which is for machines with ROS."""
    made = [command.split("#")[0].strip() for command in commands(README)]
    assert [command for command in made if re.match(r"make \w", command)] == [
        "make demo",
        "make test",
    ]


def test_every_command_is_listed() -> None:
    listed = table_keys((ROOT / "docs" / "cli.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(all_commands())


@pytest.mark.parametrize("command", all_commands())
def test_help_fits_a_screen_of_80_columns(command: str) -> None:
    runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    shown = runner.invoke(cli.app, [*command.split()[1:], "--help"]).output
    assert "Usage" in shown
    assert re.findall(r"\S*\w…", shown) == [], "a word of an option is too long for its column"
    assert [line for line in shown.splitlines() if len(line) > 80] == []


INTERFACE = ROOT / "docs" / "ros_interface.md"


def launch_arguments(file: str) -> list[str]:
    """Return the arguments that a launch file declares."""
    source = (LAUNCH / file).read_text(encoding="utf-8")
    return re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', source)


def test_every_launch_argument_is_listed() -> None:
    own = launch_arguments("localize.launch.py")
    more = [name for name in launch_arguments("slam.launch.py") if name not in own]
    assert set(launch_arguments("map.launch.py")) <= set(own)
    assert table_keys(section(INTERFACE, "Launch files")) == [*own, *more]


def test_every_parameter_is_listed_with_its_default_and_meaning() -> None:
    pytest.importorskip("rclpy", reason="parameters are declared through rclpy")
    page = INTERFACE.read_text(encoding="utf-8")
    fresh = docs_script("parameter_tables").with_tables(page)
    assert page.count("<!-- parameters of ") == 3
    assert page == fresh, "run `python docs/parameter_tables.py`, which writes these tables"


@pytest.mark.parametrize(
    ("node", "module"),
    [("progeo_pose_graph", "pose_graph_node"), ("progeo_pose_relay", "pose_relay_node")],
)
def test_the_topics_of_a_node_are_listed(node: str, module: str) -> None:
    source = (ROOT / "progeo_ros" / f"{module}.py").read_text(encoding="utf-8")
    created = set(re.findall(r'create_\w+\(\s*\w+, "([~/\w]+)"', source))
    listed = set(table_keys(section(INTERFACE, f"The node `{node}`")))
    assert created
    assert created <= listed


def test_every_topic_and_service_is_listed() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "progeo_ros").rglob("*.py"))
    used = set(re.findall(r'"(~/\w+)"', sources)) | {"/diagnostics", "/tf", "/tf_static"}
    nodes = ("progeo_localizer", "progeo_pose_graph", "progeo_pose_relay")
    tables = [key for node in nodes for key in table_keys(section(INTERFACE, f"The node `{node}`"))]
    assert {key for key in tables if key.startswith(("~", "/"))} == used
    inputs = ["image", "camera_info", "depth", "odom", "pose_reference", "fix_reference"]
    inputs += ["initialpose"]
    localizer = table_keys(section(INTERFACE, "The node `progeo_localizer`"))
    assert [key for key in localizer if not key.startswith(("~", "/"))] == inputs


@every_page
def test_every_option_of_a_training_script_exists(page: Path) -> None:
    for command in commands(page):
        found = re.search(r"(?:python|torchrun .*) (training/(\w+)\.py)\b(.*)", command)
        if found is None or "..." in command:
            continue
        script, name, rest = found.groups()
        if name in {"train", "evaluate"}:
            read_options("", shell_words(rest))
        for flag in re.findall(r"--[\w-]+", rest if name not in {"train", "evaluate"} else ""):
            assert f'"{flag}"' in (ROOT / script).read_text(encoding="utf-8"), command


@every_page
def test_every_name_in_a_ros_command_is_one_of_the_nodes(page: Path) -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "progeo_ros").rglob("*.py"))
    parameters = table_keys(INTERFACE.read_text(encoding="utf-8"))
    for command in commands(page):
        for name in re.findall(r"/progeo_(?:localizer|pose_graph|pose_relay)/(\w+)", command):
            assert f'"~/{name}"' in sources, command
        if command.startswith("ros2 run progeo_ros"):
            assert set(re.findall(r'-p "?(\w+):=', command)) <= set(parameters), command
        if re.match(r"ros2 (?:service call|topic pub .*)/progeo", command):
            for package, kind in re.findall(r" (\w+/(?:srv|msg))/(\w+)", command):
                imported = rf"from {package.replace('/', '.')} import [^\n]*\b{kind}\b"
                assert re.search(imported, sources), command
