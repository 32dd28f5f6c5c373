from xml.etree import ElementTree

from progeo_core.evaluation import pose_figures


def test_every_plot_draws_and_names_its_axes(office_run):
    drawings = {
        "position error (m)": pose_figures.draw_position_errors(office_run, office_run.poses),
        "rotation error (°)": pose_figures.draw_rotation_errors(office_run, office_run.poses),
        "landmarks that fit": pose_figures.draw_landmarks(office_run),
    }
    for name, svg in drawings.items():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg", name
        # Text is drawn as shapes; matplotlib keeps the words in comments.
        assert f"<!-- {name} -->" in svg
        assert "<!-- full pose (4) -->" in svg
        assert len(svg) < 200_000, name


def test_an_image_without_full_pose_is_an_answer_of_the_places(office_run):
    answers = list(office_run.localizations)
    answers[1] = answers[1]._replace(metric=None)
    svg = pose_figures.draw_landmarks(
        office_run.__class__(**vars(office_run) | {"localizations": tuple(answers)})
    )
    assert "<!-- full pose (3) -->" in svg
    assert "<!-- answer of the places (1) -->" in svg
