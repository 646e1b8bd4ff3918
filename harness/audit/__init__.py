"""The audit: which shared state calls write, where, what harm it does, and which remedy holds.

Data flows one way: watch (`tracer`, `dispatch`, `checkpoint`, `watch`) -> findings -> judgements from trials
(`trials`, `judge`, `remedies`) -> verdict -> `audit.json` and table. Nothing of the subject is patched for it, and
nothing here knows about ChatterBox.
"""
