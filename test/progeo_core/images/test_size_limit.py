"""One small file must not take the machine: every kind of bomb, in a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from progeo_core.errors import ImageError
from progeo_core.images.size_limit import check_size
from test.progeo_core.images import bombs

PHOTO = Path(__file__).parents[2] / "data/rtabmap_corridor_loop/images/1.jpg"
# Decodes files under a limit of memory, and of processor time for each, and prints what became of
# them. The memory is 450 MB above what the imports take, enough for an image of 50 million pixels.
DECODE = """
import json, resource, signal, sys
from pathlib import Path
import cv2
from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image
cv2.setNumThreads(1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 450_000_000,) * 2)
for path in map(Path, sys.argv[1:]):
    signal.setitimer(signal.ITIMER_PROF, 20)
    try:
        answer = str(read_image(path).shape)
    except ImageError as error:
        answer = str(error)
    print(json.dumps([path.name, answer]), flush=True)
"""


BOMBS = {
    "PNG of 16000 x 16000, 31 kB": (lambda: bombs.one_bit_png(16000), "too many"),
    "PNG of 32000 x 32000": (lambda: bombs.one_bit_png(32000, 9), "too many"),
    "PNG with a palette of 2 GB": (lambda: bombs.png_with_a_damaged_length(PHOTO), "truncated"),
    "PNG with a text of 90 MB": (lambda: bombs.png_with_a_long_text(90_000_000), r"\(8, 8, 3\)"),
    "JPEG of 65000 x 65000": (lambda: bombs.sequential_jpeg(65000, truncated=True), "too many"),
    "JPEG without its data": (lambda: bombs.sequential_jpeg(25000, truncated=True), "truncated"),
    "progressive JPEG": (lambda: bombs.progressive_jpeg(20000, 2), "too many pixels|too many"),
    "JPEG of 5000 scans": (lambda: bombs.progressive_jpeg(3000, 5000), "too many scans"),
    "TIFF of 60000 x 60000": (lambda: bombs.tiff(60000, 60000), "too many"),
    "TIFF with a huge tile": (
        lambda: bombs.tiff(100, 100, {322: 60000, 323: 60000, 324: 8, 325: 10}),
        "tile .*too many",
    ),
    "TIFF of 2 billion in a row": (lambda: bombs.tiff(2**31 - 1, 1), "too many"),
    "BMP of 2 billion rows": (lambda: bombs.bmp(8, -(2**31) + 1), "too many|damaged"),
    "BMP of 30000 x 30000": (lambda: bombs.bmp(30000, 30000), "too many"),
    "GIF of 60000 x 60000": (lambda: bombs.gif(60000), "too many|damaged"),
    "WebP of 16383 x 16383": (lambda: bombs.webp(16383), "too many|damaged"),
    "JPEG 2000 of 2 billion": (lambda: bombs.jpeg2000(2**31 - 1), "too many|damaged"),
    "JPEG 2000 within the limit": (lambda: bombs.jpeg2000(3000), r"\(3000, 3000, 3\)"),
    "AVIF of 30000 x 30000": (lambda: bombs.avif(30000), "too many|damaged"),
    "AVIF within the limit": (lambda: bombs.avif(3000), r"\(3000, 3000, 3\)"),
    "PPM of 10^18": (lambda: bombs.ppm(10**9, 10**9), "too many"),
    "PPM with 5,000 digits": (lambda: b"P6 " + b"9" * 5000 + b" 9 255\n", "damaged"),
    "OpenEXR": (lambda: bombs.exr(30000), "unknown kind"),
    "Radiance": (lambda: bombs.radiance(30000), "unknown kind"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return what became of each bomb, by name: a shape or a refusal."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, (make, _) in BOMBS.items():
        (folder / name).write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", DECODE, *(str(folder / name) for name in BOMBS)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return dict(map(json.loads, done.stdout.splitlines())), done


def test_bombs_end_no_process_and_print_nothing(answers):
    found, done = answers
    assert list(found) == list(BOMBS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_neither_memory_nor_time(answers, name):
    assert re.search(BOMBS[name][1], answers[0][name]), answers[0][name]


@pytest.mark.parametrize(
    "size", [(0, 5), (5, 0), (-1, -1), (7072, 7072), (65_501, 1), (2**62, 2**62)]
)
def test_sizes_beyond_the_limit_are_refused_by_name(size):
    with pytest.raises(ImageError, match=r"camera: .*(no pixels|too many)"):
        check_size("camera", *size)


def test_the_limit_is_a_setting():
    check_size("camera", 7071, 7071)
    check_size("camera", 10_000, 10_000, 100_000_000)
    with pytest.raises(ImageError, match=r"camera: 101x10 pixels are too many; the limit"):
        check_size("camera", 101, 10, 1000)
