"""Lines: their names do not cover one another, and their ends are put into words."""

from figure_inputs import curve

from ltx.reporting.figures import by_density, lines


def test_names_of_lines_do_not_cover_one_another() -> None:
    many = [curve(f"finder_{n}", n) for n in range(6)]  # all of them end in one point
    places = [t.get_position() for t in by_density.values("task", many).figure.texts]
    assert len(set(places)) == 6
    for x, y in places:
        near = [p for p in places if abs(p[0] - x) < 0.01 and p != (x, y)]
        assert all(abs(p[1] - y) * 216 > 5 for p in near)


def test_ends_are_one_where_there_is_one_density() -> None:
    one = curve(densities=(1.0, 0.1))
    assert lines.describe_ends(one, lambda p: f"{p.seeds} seeds") == (
        "imp: 3 seeds at density 100.0%, 3 seeds at 10.0%"
    )
    assert lines.describe_ends(curve(densities=(0.5,)), lambda p: "x") == "imp: x at density 50.0%"
