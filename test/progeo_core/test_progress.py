from progeo_core.bags.writer import write_bag
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import read_records


def test_counts_are_those_since_the_last_call(campus_loop, tmp_path):
    """Work that reports its progress does the same without a listener."""
    records = read_records(campus_loop / "records.csv").select(slice(3))
    steps: list[int] = []
    listeners: dict[str, Advance] = {"heard": steps.append, "unheard": no_progress}
    heard, unheard = (
        write_bag(tmp_path / name, records, advance=advance) for name, advance in listeners.items()
    )
    assert sum(steps) == 3
    assert heard == unheard
