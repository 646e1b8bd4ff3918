"""The audit: which shared state calls write, where, what harm it does, and which remedy holds.

Data flows one way: what was observed (`observe`) -> findings -> judgements from trials (`trial`) -> verdict ->
`audit.json` and table; `auditor` leads through it. The rooms, each of which imports only those before it: `state`,
what calls share; `watch`, who writes it; `run`, running calls; `trial`, what harm that does and what helps. (Types
alone go the other way.) Nothing of the subject is patched for it, and nothing here knows about ChatterBox.
"""
