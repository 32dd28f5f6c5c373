import numpy as np

from progeo_core.localization.answer import CameraFrame, StepSeconds


def test_frame_needs_no_more_than_an_image():
    frame = CameraFrame(np.zeros((4, 4, 3), np.uint8))
    assert (frame.stamp_ns, frame.camera, frame.intrinsics) == (0, "", None)


def test_steps_sum_to_the_time_of_an_answer():
    assert sum(StepSeconds(encode=0.5, search=0.25, estimate=0.125)) == 0.875
