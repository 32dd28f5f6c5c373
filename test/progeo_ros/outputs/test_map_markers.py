import math

import numpy as np
import pytest

from progeo_core.map.places import PlacePoses
from progeo_ros.outputs.map_markers import map_message


def a_map(count: int) -> PlacePoses:
    position = np.arange(3.0 * count).reshape(count, 3) + 0.25
    yaw = np.where(np.arange(count) % 2, 0.5, math.nan)
    return PlacePoses(np.arange(count) + 7, position, yaw)


@pytest.mark.parametrize("count", [0, 3, 100_000])
def test_every_place_is_a_point_with_direction_and_id(count: int) -> None:
    places = a_map(count)
    message = map_message(places, "site")
    assert message.header.frame_id == "site"
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert (message.height, message.width, message.row_step) == (1, count, 20 * count)
    kinds = {7: "<f4", 6: "<u4"}  # of sensor_msgs/PointField
    layout = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": [kinds[field.datatype] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    points = np.frombuffer(message.data, layout)
    np.testing.assert_array_equal(np.stack([points[axis] for axis in "xyz"], 1), places.position)
    np.testing.assert_array_equal(points["yaw"], places.yaw_rad)
    np.testing.assert_array_equal(points["id"], places.ids)
