import inspect
import sys
from pathlib import Path

import pytest

from test.benchmarks import __main__ as benchmarks


def test_every_benchmark_is_listed(capsys, monkeypatch):
    files = Path(benchmarks.__file__).parent.glob("*_benchmark.py")
    assert sorted(benchmarks.NAMES) == sorted(path.name.split("_benchmark")[0] for path in files)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit) as stopped:
        benchmarks.main()
    assert stopped.value.code == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in benchmarks.NAMES)


@pytest.mark.parametrize("name", benchmarks.NAMES)
def test_every_benchmark_can_start(name):
    if name in {"node", "mapping_kills"}:
        pytest.importorskip("rclpy", reason="rclpy is not installed")
    module = benchmarks.module_of(name)
    assert inspect.isgeneratorfunction(module.rows)
    assert inspect.getdoc(module), "what is compared with what"


def test_a_benchmark_without_its_device_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "cuda", "--out", str(out)])
    with pytest.raises(SystemExit) as stopped:
        benchmarks.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == ("cuda: nothing is measured: torch finds no CUDA device\n")
    assert not out.exists()
