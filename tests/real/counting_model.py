"""A language model that counts: " 1 2 3 4 …" is what it says to everything. Runs in the engine's environment.

Why not random weights? With those nobody can say what the right answer is. Here it is known at every token, so a test sees
whether a stream that went on elsewhere lost a word or said one twice. The architecture is an ordinary small Llama, and every
layer is computed; only the output projections of attention and MLP are zero, so that the last token alone decides the next.

Its tokens are the 256 bytes, the numbers " 0" to " 1999" and three of ChatML: a prompt costs one token per character.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LAST = 1999
SPACE, NEWLINE = "Ġ", "Ċ"  # how byte-level tokenizers write the two
WIDTH, LAYERS = 256, 24
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges: a number is read digit by digit from its space on."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())))}
    merges = []
    for number in map(str, range(LAST + 1)):
        vocabulary[SPACE + number] = len(vocabulary)
        merges.append((SPACE + number[:-1], number[-1]))
    return vocabulary, merges


def tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=core, pad_token=SPECIAL[0], bos_token=SPECIAL[1], eos_token=SPECIAL[2])
    fast.chat_template = TEMPLATE
    return fast


def model(vocabulary: dict[str, int]) -> LlamaForCausalLM:
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=4096, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, tie_word_embeddings=False))
    with torch.no_grad():
        for layer in llama.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        seen = torch.nn.functional.normalize(torch.randn(len(vocabulary), WIDTH), dim=1)
        llama.model.embed_tokens.weight.copy_(seen)
        said = torch.zeros(len(vocabulary), WIDTH)
        for now, then in successors(vocabulary):
            said[then] += seen[now]
        llama.lm_head.weight.copy_(said)  # the right word scores 16 (the norm's square root of WIDTH), the others about 1
    llama.generation_config.eos_token_id = 2
    return llama.to(torch.bfloat16)


def successors(vocabulary: dict[str, int]) -> list[tuple[int, int]]:
    numbers = [vocabulary[f"{SPACE}{number}"] for number in range(LAST + 1)]
    return [(vocabulary[NEWLINE], numbers[1]), *zip(numbers, [*numbers[1:], vocabulary[SPECIAL[2]]], strict=True)]


def main(folder: Path) -> None:
    vocabulary, merges = words()
    tokenizer(vocabulary, merges).save_pretrained(folder)
    model(vocabulary).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
