from pointsman.config.problems import Problem, near, path, render


def test_a_problem_reads_file_line_path_sentence_hint():
    problem = Problem(("routes", "auto", "ladder", 1), "tier 'lrage' does not exist", "did you mean 'large'?")
    lines = {("routes", "auto", "ladder", 1): 14}

    assert render([problem], "router.yaml", lines) == (
        "router.yaml:14: routes.auto.ladder[1]: tier 'lrage' does not exist; did you mean 'large'?",
    )


def test_problems_come_in_the_order_of_the_file_and_once():
    late, early = Problem(("b",), "late"), Problem(("a", "x"), "early")

    assert render([late, early, late], "f", {("a",): 1, ("b",): 12}) == ("f:1: a.x: early", "f:12: b: late")


def test_the_document_itself_is_called_file():
    assert path(()) == "file"


def test_near_suggests_or_lists():
    assert near("lrage", ["small", "large"]) == "did you mean 'large'?"
    assert near("x", ["small", "large"]) == "there is: large, small"
    assert near("x", []) == ""
