"""How prompts are read: each on its own, and what many of them begin with only once.

A prompt begins with what its voice alone decides, and no position sees a later one. The keys and values of the voice
are therefore read apart, once for all rows, and kept for the next prompt that begins with the same. They are computed
in the same way whether or not they are kept, so a prompt's bits depend on the prompt alone. They are not those of a
prompt that is read in one go, as stock reads it: where the engine has promised stock's bits, nothing is read apart.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ._kv_cache import KeyValueCache

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3

    from stateless_tts.speech_tokens import Prompt

    Layers = list[tuple[torch.Tensor, torch.Tensor]]


class Beginnings:
    """Keys and values of voices, read when they are first asked for; the one unused for longest goes first.

    One thread asks.

    Args:
        most_bytes: of keys and values kept; a voice that takes more is read for every prompt.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Layers] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory of what is kept, in bytes."""
        return sum(map(_bytes_of, self._kept.values()))

    def of(self, t3: T3, voice: torch.Tensor) -> Layers:
        """Return keys and values of `voice`, embeddings of shape (1, positions, width): of one row, for each layer."""
        key = hashlib.sha256(voice.contiguous().view(torch.uint8).cpu().numpy().data).digest()
        layers = self._kept.pop(key, None) or _read(t3, voice)
        self._kept[key] = layers
        while self.nbytes > self._most_bytes:
            self._kept.popitem(last=False)
        return layers


@torch.inference_mode()
def read_prompt(t3: T3, prompt: Prompt, beginnings: Beginnings | None = None) -> tuple[KeyValueCache, torch.Tensor]:
    """Read a prompt on its own; returns its cache and the logits of shape (rows, vocabulary).

    Args:
        t3: reads.
        prompt: is read.
        beginnings: where its voice is read, or was; without them it is read in one go, as stock reads it.
    """
    past = DynamicCache(config=t3.cfg)
    embeddings = prompt.embeddings
    if beginnings is not None:
        voice, embeddings = embeddings.tensor_split([prompt.voice_end], dim=1)
        for layer, begun in enumerate(beginnings.of(t3, voice[:1])):
            past.update(*(tensor.expand(embeddings.size(0), -1, -1, -1) for tensor in begun), layer)
    hidden = t3.tfmr(inputs_embeds=embeddings, past_key_values=past, use_cache=True).last_hidden_state
    # As many positions go through the head as upstream's do: a product of another shape may round differently.
    logits = t3.speech_head(hidden[:, -1:] if t3.is_gpt or beginnings is not None else hidden)[:, -1, :].clone()
    return KeyValueCache([(layer.keys, layer.values) for layer in past.layers]), logits


def _read(t3: T3, voice: torch.Tensor) -> Layers:
    past = DynamicCache(config=t3.cfg)
    t3.tfmr(inputs_embeds=voice, past_key_values=past, use_cache=True)
    return [(layer.keys, layer.values) for layer in past.layers]


def _bytes_of(layers: Layers) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
