"""The regression gate: is the working tree (`head`) worse than an earlier revision (`base`)?

Data flows one way, through four places:

- `harness.gate` puts two revisions side by side: `base` in a temporary work tree, `head` where it is;
- `harness.run.gate` measures: one warm process for each revision, only one of them computing at a time, in rounds of
  ABBA order; every raw observation is on disk before anything is concluded (`harness.observations.gate_store`);
- `harness.verdict.gate` judges what was saved: counts first, exactly; then ratios, with intervals and a third answer;
- `harness.report.gate` writes the answer down.

The measuring code is that of the harness which runs the gate, for both revisions: a process puts its revision's tree
first on the path, imports `stateless_tts` from there, checks that it came from there, and only then imports this
harness. So one ruler measures both, and a base with an older harness can still be measured.
"""
