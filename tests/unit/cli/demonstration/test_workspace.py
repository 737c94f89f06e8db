from pointsman.cli.demonstration.workspace import workspace


def test_a_demo_finds_an_empty_directory_and_leaves_its_files(tmp_path):
    with workspace(tmp_path / "p") as first:
        (first / "records.db").write_text("old")
    assert (first / "records.db").exists()

    with workspace(tmp_path / "p") as second:
        assert second == first == tmp_path / "p" / "demo"
        assert list(second.iterdir()) == []


def test_two_demos_at_once_do_not_share_a_directory(tmp_path):
    with workspace(tmp_path) as first, workspace(tmp_path) as second:
        assert [first.name, second.name] == ["demo", "demo-2"]
