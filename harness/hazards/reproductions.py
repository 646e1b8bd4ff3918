"""Which function reproduces which hazard, on stock and on `stateless_tts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.hazards import conditioning, draws, families, other_families, switches, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.hazards.bench import Bench, Trial

_NOT_OURS = "stateless_tts sets no tokenizer up while calls run"


@dataclass(frozen=True)
class Reproduction:
    """The same situation twice.

    Attributes:
        stock: on upstream as it is.
        stateless: on this project's wrapper; None if there is nothing to run, and then `why_not` says why.
        why_not: reason in one line.
    """

    stock: Callable[[Bench], Trial]
    stateless: Callable[[Bench], Trial] | None = None
    why_not: str = ""


REPRODUCTIONS: Mapping[str, Reproduction] = {
    "shared-conditionals": Reproduction(conditioning.shared_conditionals, conditioning.own_conditionals),
    "shared-analyser": Reproduction(families.shared_analyser, other_families.own_analyser),
    "leaked-hooks": Reproduction(families.leaked_hooks, other_families.removed_hooks),
    "shared-t3cond": Reproduction(conditioning.shared_t3_cond, conditioning.own_t3_cond),
    "draw-speech-token": Reproduction(draws.stock_draw("multinomial #1"), draws.own_draw("multinomial #1")),
    "draw-flow-noise": Reproduction(draws.stock_draw("randn_like #1"), draws.own_draw("randn_like #1")),
    "draw-sine-phase": Reproduction(draws.stock_draw("rand #1"), draws.own_draw("rand #1")),
    "draw-sine-noise": Reproduction(draws.stock_draw("randn_like #2"), draws.own_draw("randn_like #2")),
    "draw-source-noise": Reproduction(draws.stock_draw("randn_like #3"), draws.own_draw("randn_like #3")),
    "draw-meanflow-noise": Reproduction(other_families.meanflow_noise, other_families.own_meanflow_noise),
    "rewritten-reference": Reproduction(conditioning.rewritten_reference, conditioning.untouched_voice),
    "rebound-backend": Reproduction(draws.rebound_backend, draws.kept_backend),
    "mel-tables": Reproduction(tables.mel_tables, tables.filled_mel_tables),
    "position-table": Reproduction(tables.position_table, tables.own_position_table),
    "resampler-cache": Reproduction(tables.resampler_cache, why_not="refuted; nothing to mend"),
    "shared-target-voice": Reproduction(families.shared_target_voice, other_families.own_target_voice),
    "turbo-conditionals": Reproduction(other_families.turbo_conditionals, other_families.own_turbo_conditionals),
    "borrowed-tokenizer": Reproduction(families.borrowed_tokenizer, why_not="refuted; nothing to mend"),
    "reconfigured-tokenizer": Reproduction(families.reconfigured_tokenizer, why_not=_NOT_OURS),
    "zero-guidance": Reproduction(families.no_guidance, families.no_guidance_stateless),
    "attention-switches": Reproduction(switches.attention_switches, switches.untouched_switches),
    "first-use-backend": Reproduction(switches.first_use_backend, why_not="refuted; nothing to mend"),
}
