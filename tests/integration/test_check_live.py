"""`pointsman check --live` against a real socket."""

from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.testing.model_server import ModelServer
from pointsman.testing.server_thread import ServerThread


def test_live_asks_endpoints_over_real_sockets(tmp_path):
    with ServerThread(ModelServer(model="served-model", max_model_len=4096)) as running:
        url = running.server.url
        file = tmp_path / "router.yaml"
        file.write_text(
            f"tiers:\n  small: {{model: served-model, endpoints: [{{url: '{url}'}}]}}\n"
            f"  large: {{model: another, endpoints: [{{url: '{url}'}}]}}\n", "utf-8",
        )
        result = CliRunner().invoke(app, ["check", str(file), "--live", "--timeout", "60"])

    assert result.exit_code == 1
    assert "answers, lists 'served-model', context 4096 tokens" in result.output
    assert "answers, but does not list 'another'; it lists: served-model" in result.output
    assert "1 of 2 endpoints answer and list their model" in result.output
