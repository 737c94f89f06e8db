"""What really starts and stops a machine."""

from __future__ import annotations

import sys

import pytest

from pointsman.machines.hook import CommandHook, HookFailed, HttpHook, Order, hook_of

ORDER = Order("start", "small", "small/1", "http://10.0.0.1/v1", "2 wanted; $(rm -rf /)")


def test_a_command_is_told_in_its_environment_and_no_shell_reads_it(tmp_path):
    script = tmp_path / "hook.py"
    script.write_text("import os, pathlib\npathlib.Path(__file__).with_name('told').write_text("
                      "' '.join(os.environ['POINTSMAN_' + name] for name in ('ACTION', 'TIER', 'ENDPOINT', 'URL', 'WHY')))")
    CommandHook(f"{sys.executable} {script}", 30.0).run(ORDER)

    assert (tmp_path / "told").read_text() == "start small small/1 http://10.0.0.1/v1 2 wanted; $(rm -rf /)"


def test_a_command_that_fails_is_quoted(tmp_path):
    script = tmp_path / "hook.py"
    script.write_text("import sys\nsys.exit('no quota left')")
    with pytest.raises(HookFailed, match="ended with 1: no quota left"):
        CommandHook(f"{sys.executable} {script}", 30.0).run(ORDER)


def test_a_command_that_is_not_there_has_failed():
    with pytest.raises(HookFailed, match="no-such-program"):
        CommandHook("/no-such-program", 1.0).run(ORDER)


def test_a_service_that_is_not_there_has_failed():
    with pytest.raises(HookFailed, match="refused"):
        HttpHook("http://127.0.0.1:1/", 1.0).run(ORDER)


def test_a_text_is_a_url_or_a_command():
    assert isinstance(hook_of("https://rent.example/start", 1.0), HttpHook)
    assert isinstance(hook_of("rent 'a b'", 1.0), CommandHook)
    for line in ("", "rent 'a"):
        with pytest.raises(ValueError, match=r"program|quotation"):
            hook_of(line, 1.0)
