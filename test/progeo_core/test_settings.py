import dataclasses

import pytest

from progeo_core.errors import UsageError
from progeo_core.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class Kettle(Settings):
    litres: float = setting(1.5, "How much it holds", low=0.1, high=3.0)
    cups: int = setting(4, "Cups to fill", low=1)
    lid: bool = setting(True, "Whether the lid is on")
    material: str = setting("steel", "What it is made of", choices=("steel", "glass"))
    labels: tuple[str, ...] = setting(("tea",), "Words on its side")


def test_defaults_are_valid_and_can_be_replaced() -> None:
    kettle = dataclasses.replace(Kettle(), litres=2, material="glass", labels=("tea", "milk"))
    assert kettle == Kettle(litres=2.0, material="glass", labels=("tea", "milk"))
    assert isinstance(kettle.litres, float), "an int where a float is declared is widened"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"litres": 5.0}, "Kettle.litres = 5.0: must be between 0.1 and 3"),
        ({"litres": float("nan")}, "Kettle.litres = nan: must be between"),
        ({"cups": 0}, "Kettle.cups = 0: must be between 1 and inf"),
        ({"cups": 1.0}, "Kettle.cups = 1.0: must be of type int"),
        ({"cups": True}, "Kettle.cups = True: must be of type int"),
        ({"lid": 1}, "Kettle.lid = 1: must be of type bool"),
        ({"material": "wood"}, "Kettle.material = 'wood': must be one of steel, glass"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Kettle(**values)  # type: ignore[arg-type]
    assert message in str(error.value)
