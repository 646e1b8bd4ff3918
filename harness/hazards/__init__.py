"""The hazard catalogue: where upstream keeps shared state, and for each place a reproduction that never fails to fail.

catalogue (data) -> reproductions (schedules driven on stock and on `stateless_tts`) -> measure -> table.
Nothing is imported here, so that a command line can be checked without loading torch.
"""
