"""Machine code of our own, for what torch has no fast operation for on a CPU.

Kernels are written from Python in LLVM's assembly (`_function`), of vectors (`_vectors`) and AMX's registers (`_amx`);
LLVM translates them for the CPU at hand, and torch's own threads run them (`_translation`). Who has kernels:
`units` for S3Gen, `streamed` for T3's products, `chains` for what stands between
them, and for whole forwards (`_chain`).
"""
