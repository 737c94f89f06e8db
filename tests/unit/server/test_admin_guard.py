"""The admin listener's token."""

from __future__ import annotations

from pointsman.core.settings import AdminSettings
from pointsman.server.admin_guard import admin_token


def test_a_configured_token_is_used_and_written_nowhere(tmp_path):
    assert admin_token(AdminSettings(token="mine"), tmp_path) == ("mine", None)
    assert list(tmp_path.iterdir()) == []


def test_a_generated_token_is_new_at_each_start_and_for_its_owner_only(tmp_path):
    first, file = admin_token(AdminSettings(), tmp_path / "state")
    second, again = admin_token(AdminSettings(), tmp_path / "state")

    assert first != second
    assert file == again
    assert file is not None
    assert file.read_text().strip() == second
    assert file.stat().st_mode & 0o777 == 0o600
