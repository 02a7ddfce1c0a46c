"""`new`: what it writes, what it prints, and its exit codes."""


def test_a_project_is_written_where_it_is_asked_for(cli, tmp_path):
    """Every file is named, and what to do next."""
    result = cli("new", "family", "my-own", "--to", "somewhere")
    assert result.code == 0
    *files, _, following = result.out.splitlines()
    assert sorted(files) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert following.startswith("next: cd somewhere && pip install -e '.[test]' && pytest && kexue-bench check my_own")


def test_its_folder_has_its_name(cli, tmp_path):
    """And a second one of the same name is refused."""
    assert cli("new", "family", "my-own").code == 0
    assert (tmp_path / "my-own" / "pyproject.toml").exists()
    assert cli("new", "family", "my-own").code == 2


def test_a_folder_that_cannot_be_made_is_exit_code_4(cli, tmp_path):
    """A file is in the way."""
    (tmp_path / "file").write_text("")
    result = cli("new", "family", "my-own", "--to", "file/below")
    assert result.code == 4
    assert "cannot be written" in result.err
