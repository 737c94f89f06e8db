import subprocess
import sys

from pointsman.server.address import bound

SERVES = """
import sys
sys.argv = ["pointsman", "serve", "-c", sys.argv[1]]
from pointsman.cli.main import app
try:
    app()
except SystemExit as left:
    print(left.code, "pointsman.wiring" in sys.modules, "numpy" in sys.modules)
"""


def served(folder, *, port, admin):
    """(exit code, whether what serves was loaded, numpy too), and what was said."""
    file = folder / "router.yaml"
    file.write_text(f"server: {{port: {port}}}\nadmin: {{port: {admin}}}\n"
                    "tiers: {a: {model: m, endpoints: [{url: http://127.0.0.1:9/v1, slots: 1}]}}\n")
    done = subprocess.run([sys.executable, "-c", SERVES, str(file)], cwd=folder, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout.split(), done.stderr


def test_a_port_that_is_taken_is_said_before_anything_heavy_is_loaded(tmp_path):
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        left, said = served(tmp_path, port=port, admin=0)

    assert left == ["1", "False", "False"]
    assert said == (f"cannot listen on 127.0.0.1:{port}: Address already in use; "
                    "stop what holds it or choose another with `--port` or `server.port`\n")


def test_so_is_the_operators(tmp_path):
    with bound("127.0.0.1", 0) as taken:
        left, said = served(tmp_path, port=0, admin=taken.getsockname()[1])

    assert left == ["1", "False", "False"]
    assert "choose another with `admin.port`" in said
