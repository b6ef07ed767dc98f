collect.o: lib/train/collect.c lib/train/collect.h lib/model/model.h \
  lib/graph/graph.h lib/base/dtype.h lib/base/err.h lib/base/mem.h \
  lib/dev/dev.h lib/op/op.h lib/spec/peft.h lib/spec/spec.h \
  lib/base/json.h lib/base/str.h lib/io/gguf.h lib/io/safetensors.h \
  lib/base/file.h lib/io/store.h lib/base/hash.h lib/quant/imatrix.h

lib/train/collect.h:

lib/model/model.h:

lib/graph/graph.h:

lib/base/dtype.h:

lib/base/err.h:

lib/base/mem.h:

lib/dev/dev.h:

lib/op/op.h:

lib/spec/peft.h:

lib/spec/spec.h:

lib/base/json.h:

lib/base/str.h:

lib/io/gguf.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/io/store.h:

lib/base/hash.h:

lib/quant/imatrix.h:
