"""llama.cpp with a chat template that knows tools: SmolLM2's own does not, and llama.cpp then leaves the tools out.

The template is ChatML with tool calls as JSON between `<tool_call>` tags, the form that llama.cpp knows as Hermes 2 Pro. With
`tool_choice` required its grammar makes even a small model call a tool.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from pointsman.testing.llamacpp import LlamaCpp, serve, weights

TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call functions. Their signatures are within <tools></tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
For each call return a JSON object within tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


class ToolEngine(LlamaCpp):
    """As `LlamaCpp`, with tools."""

    def __enter__(self) -> Self:
        """Raises NoLlamaCpp, RuntimeError."""
        asked = json.dumps(self._asked | {"weights": str(weights())})
        self._process = subprocess.Popen([sys.executable, __file__, asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True)
        try:
            self.root = self._listening(self._process)
            self._wait_until_loaded()
        except BaseException:
            self.close()
            raise
        return self


def main(asked: dict[str, Any]) -> None:
    """The child process."""
    import xllamacpp

    plain = xllamacpp.Server

    def with_template(params: Any) -> Any:
        params.chat_template = TEMPLATE
        return plain(params)

    xllamacpp.Server = with_template
    serve(asked)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
