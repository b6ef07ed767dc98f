scaled.o: tests/unit/scaled.c tests/unit/fixture.h lib/base/file.h \
 lib/base/err.h lib/base/str.h lib/base/json.h lib/cli/tool.h \
 lib/base/mem.h lib/cli/opt.h lib/model/model.h lib/graph/graph.h \
 lib/base/dtype.h lib/dev/dev.h lib/op/op.h lib/spec/peft.h \
 lib/spec/spec.h lib/io/gguf.h lib/io/safetensors.h lib/io/store.h \
 lib/base/hash.h tests/unit/tap.h lib/train/evaluate.h lib/train/rows.h \
 lib/io/tokens.h lib/train/trainer.h lib/train/schedule.h \
 lib/quant/file.h lib/quant/imatrix.h lib/quant/mix.h lib/quant/rows.h \
 lib/quant/published.h lib/quant/quant.h
tests/unit/fixture.h:
lib/base/file.h:
lib/base/err.h:
lib/base/str.h:
lib/base/json.h:
lib/cli/tool.h:
lib/base/mem.h:
lib/cli/opt.h:
lib/model/model.h:
lib/graph/graph.h:
lib/base/dtype.h:
lib/dev/dev.h:
lib/op/op.h:
lib/spec/peft.h:
lib/spec/spec.h:
lib/io/gguf.h:
lib/io/safetensors.h:
lib/io/store.h:
lib/base/hash.h:
tests/unit/tap.h:
lib/train/evaluate.h:
lib/train/rows.h:
lib/io/tokens.h:
lib/train/trainer.h:
lib/train/schedule.h:
lib/quant/file.h:
lib/quant/imatrix.h:
lib/quant/mix.h:
lib/quant/rows.h:
lib/quant/published.h:
lib/quant/quant.h:
