"""The hazards, as data. What the reproductions find is measured elsewhere; this is what they are held against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHATTERBOX = "chatterbox-tts 0.1.7"
TRANSFORMERS = "transformers 5.2.0"
TOKENIZERS = "tokenizers (fast)"


class Status(StrEnum):
    """How far a hazard is proven."""

    SHOWN = "shown"
    REFUTED = "refuted"
    READ = "read"


@dataclass(frozen=True)
class Hazard:
    """One place where calls meet.

    Attributes:
        id: what the command line and the files call it.
        row: number of the row in the list of hazards; several hazards may share one. Those after 12 were found later.
        title: what is shared, in a few words.
        upstream: package and version that it was found in.
        place: file and function.
        effect: what a caller notices.
        status: shown by a reproduction, refuted by one, or only read in the code.
        remedy: what makes it go away, and what `stateless_tts` does.
        note: evidence or bounds that a reader has to know; empty if the reproduction says it all.
    """

    id: str
    row: int
    title: str
    upstream: str
    place: str
    effect: str
    status: Status
    remedy: str
    note: str = ""


_OWN_GENERATOR = "a generator per call; every draw that names none is redirected to it on the calling thread"

CATALOGUE: tuple[Hazard, ...] = (
    Hazard(
        "shared-conditionals",
        1,
        "The voice is an attribute of the model",
        CHATTERBOX,
        "chatterbox/tts.py:206 prepare_conditionals, :227 generate (self.conds, self.conds.t3)",
        "another call's voice or exaggeration is spoken with; no exception",
        Status.SHOWN,
        "conditioning is a value of the call, made from an immutable Voice",
    ),
    Hazard(
        "shared-analyser",
        2,
        "A new alignment analyser per call, found through the model",
        CHATTERBOX,
        "chatterbox/models/t3/t3.py:278-297 T3.inference (multilingual), self.patched_model",
        "another call's attention maps and state are used; sizes do not fit, or speech ends early",
        Status.SHOWN,
        "an analyser that belongs to the call, and hooks that only see the call's own forward passes",
    ),
    Hazard(
        "leaked-hooks",
        3,
        "Hooks whose handles are dropped, and a written configuration",
        CHATTERBOX,
        "chatterbox/models/t3/inference/alignment_stream_analyzer.py:_add_attention_spy",
        "three more forward hooks per call, for ever; attention implementation and output_attentions rewritten",
        Status.SHOWN,
        "hooks removed when the call ends; configuration left alone",
        "needs no second call",
    ),
    Hazard(
        "shared-t3cond",
        4,
        "T3Cond is filled in two steps, in place",
        CHATTERBOX,
        "chatterbox/models/t3/t3.py T3.prepare_conditioning (t3_cond.cond_prompt_speech_emb, then +=)",
        "a second caller of the same T3Cond reads the prompt without its positions; no exception",
        Status.SHOWN,
        "a fresh T3Cond for every call",
    ),
    Hazard(
        "draw-speech-token",
        5,
        "Speech tokens are drawn from the process-wide generator",
        CHATTERBOX,
        "chatterbox/models/t3/t3.py T3.inference (torch.multinomial)",
        "other words, or another length, than the seed gives alone; no exception",
        Status.SHOWN,
        _OWN_GENERATOR,
    ),
    Hazard(
        "draw-flow-noise",
        5,
        "The flow starts from process-wide noise",
        CHATTERBOX,
        "chatterbox/models/s3gen/flow_matching.py CausalConditionalCFM.forward (torch.randn_like)",
        "another mel spectrogram than the seed gives alone; no exception",
        Status.SHOWN,
        _OWN_GENERATOR,
    ),
    Hazard(
        "draw-sine-phase",
        5,
        "The vocoder's phases are drawn from the process-wide generator",
        CHATTERBOX,
        "chatterbox/models/s3gen/hifigan.py SineGen.forward (Uniform.sample)",
        "another waveform than the seed gives alone; no exception",
        Status.SHOWN,
        _OWN_GENERATOR,
    ),
    Hazard(
        "draw-sine-noise",
        5,
        "The vocoder's noise is drawn from the process-wide generator",
        CHATTERBOX,
        "chatterbox/models/s3gen/hifigan.py SineGen.forward (torch.randn_like)",
        "another waveform than the seed gives alone; no exception",
        Status.SHOWN,
        _OWN_GENERATOR,
    ),
    Hazard(
        "draw-source-noise",
        5,
        "The source module's noise is drawn from the process-wide generator",
        CHATTERBOX,
        "chatterbox/models/s3gen/hifigan.py SourceModuleHnNSF.forward (torch.randn_like)",
        "none on the call itself; it moves the generator on for every other caller",
        Status.REFUTED,
        _OWN_GENERATOR,
        "the decoder throws this noise away (s, _, _ = self.m_source(s)); a disturbed draw changes no sample",
    ),
    Hazard(
        "draw-meanflow-noise",
        5,
        "Turbo's flow starts from process-wide noise",
        CHATTERBOX,
        "chatterbox/models/s3gen/s3gen.py S3Token2Wav.flow_inference (torch.randn, meanflow)",
        "another mel spectrogram than the seed gives alone; no exception",
        Status.SHOWN,
        _OWN_GENERATOR,
    ),
    Hazard(
        "rewritten-reference",
        6,
        "The caller's voice dictionary is rewritten",
        CHATTERBOX,
        "chatterbox/models/s3gen/s3gen.py S3Token2Mel.forward (ref_dict[rk] = ...)",
        "a cached voice's integer token ids become floats; in half precision they lose their last bits",
        Status.SHOWN,
        "a fresh dictionary for every call",
        "in float32 the audio stays bit-identical: every id up to 6,560 is exact",
    ),
    Hazard(
        "rebound-backend",
        7,
        "T3's backend object is rebound by every call",
        CHATTERBOX,
        "chatterbox/models/t3/t3.py:273-298 T3.inference (self.compiled, self.patched_model)",
        "none for English, whose backends are alike; with an analyser it is shared-analyser",
        Status.SHOWN,
        "the backbone is called directly; nothing is stored on T3",
        "the rebinding is shown; as a fault of its own it is benign",
    ),
    Hazard(
        "mel-tables",
        8,
        "Two tables filled one after the other, one of them checked",
        CHATTERBOX,
        "chatterbox/models/s3gen/utils/mel.py:55-58 mel_spectrogram (mel_basis, hann_window)",
        "KeyError on the first use from two threads",
        Status.SHOWN,
        "both are filled when the wrapper is built",
    ),
    Hazard(
        "position-table",
        9,
        "The table of relative positions is lengthened on the shared module",
        CHATTERBOX,
        "chatterbox/models/s3gen/transformer/embedding.py:224-254 EspnetRelPositionalEncoding.extend_pe",
        "a shorter input's table replaces a longer one's before it is read: too few positions",
        Status.SHOWN,
        "every call has its own copy of the two modules that hold a table",
        "beyond 5,000 positions (100 s): out of reach of stock generate, which stops at 1,000 tokens; "
        "within reach of voice conversion and of S3Gen called directly",
    ),
    Hazard(
        "resampler-cache",
        10,
        "An lru_cache around the resampler",
        CHATTERBOX,
        "chatterbox/models/s3gen/s3gen.py:42 get_resampler",
        "none: two first users build one each, with the same bits",
        Status.REFUTED,
        "filled when the wrapper is built",
    ),
    Hazard(
        "language-globals",
        10,
        "Converters of the multilingual tokenizer are filled on first use",
        CHATTERBOX,
        "chatterbox/models/tokenizers/tokenizer.py (_kakasi, _dicta, _russian_stresser)",
        "two first users build one each; whether the converters stand being shared is their packages' affair",
        Status.READ,
        "fill them before threads start",
        "the packages are optional and not installed with chatterbox-tts",
    ),
    Hazard(
        "shared-target-voice",
        10,
        "Voice conversion keeps its target voice on the model",
        CHATTERBOX,
        "chatterbox/vc.py:81 ChatterboxVC.set_target_voice, generate (self.ref_dict)",
        "another call's voice is converted to; no exception",
        Status.SHOWN,
        "the target voice is a value of the call",
    ),
    Hazard(
        "turbo-conditionals",
        10,
        "Turbo keeps the voice on the model",
        CHATTERBOX,
        "chatterbox/tts_turbo.py:246 prepare_conditionals, generate (self.conds)",
        "another call's voice is spoken with; no exception",
        Status.SHOWN,
        "conditioning is a value of the call",
    ),
    Hazard(
        "borrowed-tokenizer",
        11,
        "English: one fast tokenizer, encoding in many threads",
        f"{CHATTERBOX}, {TOKENIZERS}",
        "chatterbox/models/tokenizers/tokenizer.py EnTokenizer.encode",
        "none: encoding borrows the tokenizer without writing to it",
        Status.REFUTED,
        "nothing to do",
    ),
    Hazard(
        "reconfigured-tokenizer",
        11,
        "A fast tokenizer is set up while another call encodes with it",
        f"{TRANSFORMERS}, {TOKENIZERS}",
        "tokenizers.Tokenizer.enable_truncation/enable_padding; "
        "chatterbox/tts_turbo.py generate passes padding=True, truncation=True",
        "RuntimeError: Already borrowed",
        Status.SHOWN,
        "set a tokenizer up once, before threads start, or give every thread a copy",
    ),
    Hazard(
        "zero-guidance",
        12,
        "cfg_weight=0 gives one row where two are expected",
        CHATTERBOX,
        "chatterbox/tts.py generate, chatterbox/models/t3/t3.py T3.inference (bos_embed of two rows)",
        "RuntimeError, even alone",
        Status.SHOWN,
        "one row throughout",
        "needs no second call",
    ),
    Hazard(
        "attention-switches",
        13,
        "The perceiver turns every attention kernel on, for the whole process",
        f"{CHATTERBOX}, torch 2.6.0",
        "chatterbox/models/t3/modules/perceiver.py:94 AttentionQKV.flash_attention (torch.backends.cuda.sdp_kernel)",
        "overlapping calls restore in the wrong order: a kernel that the application has turned off stays on after "
        "they are done, and everybody's attention may be computed by it from then on",
        Status.SHOWN,
        "the perceiver attends without touching the switches",
        "found by reading for the audit; harmless as long as all switches are on, which is torch's own setting",
    ),
    Hazard(
        "first-use-backend",
        14,
        "The flag and the backend of T3 are set one after the other",
        CHATTERBOX,
        "chatterbox/models/t3/t3.py:273-298 T3.inference (self.compiled, then self.patched_model)",
        "none by itself: the flag is raised after the backend is there, and English backends are alike",
        Status.REFUTED,
        "the backbone is called directly; nothing is stored on T3",
        "found by the audit; a call that finds another's flag speaks with another's backend, which does harm only "
        "where the backend has an analyser: shared-analyser",
    ),
)


def find(hazard_id: str) -> Hazard | None:
    """Return the hazard of that id, or None."""
    return next((hazard for hazard in CATALOGUE if hazard.id == hazard_id), None)
