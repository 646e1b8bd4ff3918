"""Nodes for ComfyUI.

To install them, install this package into ComfyUI's Python and put a folder into ``custom_nodes`` whose
``__init__.py`` reads::

    from stateless_tts.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

Without ComfyUI the nodes work too; they only have no progress bar.
"""

from __future__ import annotations

from typing import Any

from ._nodes import LoadModelNode, TextNode
from ._subtitles import SubtitlesNode

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

NODE_CLASS_MAPPINGS: dict[str, Any] = {
    "StatelessTTSLoadModel": LoadModelNode,
    "StatelessTTSText": TextNode,
    "StatelessTTSSubtitles": SubtitlesNode,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "StatelessTTSLoadModel": "Stateless TTS: load model",
    "StatelessTTSText": "Stateless TTS: text",
    "StatelessTTSSubtitles": "Stateless TTS: subtitles (SRT)",
}
