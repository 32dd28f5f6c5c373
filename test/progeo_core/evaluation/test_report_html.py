from progeo_core.evaluation.report_html import (
    fact_table,
    figure_table,
    jpeg_image,
    svg_image,
    wide_plot,
)


def test_tables_escape_what_they_are_given():
    table = figure_table(("a", "<b>"), [("name <1>", "1", "2")])
    assert table.count("<tr>") == 2
    assert "&lt;b&gt;" in table
    assert '<td>name &lt;1&gt;</td><td class="number">1</td>' in table
    assert fact_table([("bag", "a & b")]) == "<tr><th>bag</th><td>a &amp; b</td></tr>"


def test_images_are_inside_the_page():
    assert jpeg_image(b"\xff\xd8", 'a "b"').startswith('<img src="data:image/jpeg;base64,/9g="')
    assert "&quot;b&quot;" in jpeg_image(b"", 'a "b"')
    assert 'src="data:image/svg+xml;base64,' in svg_image("<svg/>", "plot")


def test_a_wide_plot_is_drawn_for_both_widths():
    widths = []

    def draw(width):
        widths.append(width)
        return "<svg/>"

    assert wide_plot(draw, "errors").count("data:image/svg+xml;base64,") == 2
    assert len(set(widths)) == 2
