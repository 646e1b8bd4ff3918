"""Colours and type for light and for dark screens, told apart by colour-blind readers and on grey paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Look:
    """How one series is drawn: a colour per theme, a marker and a line style."""

    light: str
    dark: str
    marker: str
    line: str


@dataclass(frozen=True)
class Theme:
    """Colours of one background."""

    name: str
    background: str
    text: str
    faint: str
    target: str

    def colour(self, look: Look) -> str:
        return look.dark if self.name == "dark" else look.light

    def settings(self) -> dict[str, Any]:
        """Matplotlib settings; the salt makes the same data give the same file."""
        return {
            "figure.facecolor": self.background,
            "axes.facecolor": self.background,
            "savefig.facecolor": self.background,
            "text.color": self.text,
            "axes.labelcolor": self.text,
            "axes.titlecolor": self.text,
            "axes.edgecolor": self.faint,
            "xtick.color": self.text,
            "ytick.color": self.text,
            "grid.color": self.faint,
            "grid.alpha": 0.35,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "font.size": 10,
            "legend.frameon": False,
            "hatch.linewidth": 0.8,
            "svg.hashsalt": "stateless-tts",
        }


LIGHT = Theme("light", "#ffffff", "#1a1d21", "#8a929c", "#b3261e")
DARK = Theme("dark", "#16191d", "#e6e8eb", "#747c86", "#ff8a80")
THEMES = (LIGHT, DARK)

# Okabe and Ito's palette, lightened or darkened where the background asks for it.
SUBJECTS: Mapping[str, Look] = {
    "stateless": Look("#0072b2", "#56b4e9", "o", "-"),
    "sequential": Look("#5b6168", "#a9b0b8", "s", "--"),
    "upstream-locked": Look("#009e73", "#2fc99b", "D", "-."),
    "engine-fp32": Look("#d55e00", "#ff8c3a", "P", "-"),
    "engine-bf16": Look("#7a3db8", "#c39bf0", "*", "-"),
    "process-pool": Look("#8a6d00", "#e6d34a", "v", ":"),
    "sequential-bf16": Look("#5b6168", "#a9b0b8", "d", ":"),
    "seed-plan": Look("#a8568a", "#dd9cc3", "^", ":"),
    "upstream-shared": Look("#d55e00", "#ff8c3a", "X", "-"),
}
OTHERS = (Look("#8a6d00", "#f0e442", "v", "-"), Look("#333333", "#ffffff", "P", ":"))

OUTCOMES: Mapping[str, tuple[str, Look, str]] = {
    "bit_identical": ("bit-identical", Look("#0072b2", "#3d9bd9", "", ""), ""),
    "value_corruptions": ("value corruption", Look("#f0c244", "#f0d264", "", ""), "..."),
    "shape_corruptions": ("shape corruption", Look("#d55e00", "#e8742a", "", ""), "///"),
    "crashes": ("other crash", Look("#2b2b2b", "#f2f2f2", "", ""), ""),
    "hangs": ("hang", Look("#a8568a", "#dd9cc3", "", ""), "xxx"),
    "not_started": ("not started", Look("#c9ced4", "#4a5058", "", ""), ""),
}


def subject_look(name: str, names: list[str]) -> Look:
    """Return the look of a built-in subject, or deal one out to a subject of somebody else's."""
    if name in SUBJECTS:
        return SUBJECTS[name]
    strangers = [other for other in names if other not in SUBJECTS]
    return OTHERS[strangers.index(name) % len(OTHERS)]
