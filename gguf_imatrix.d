gguf_imatrix.o: bin/gguf_imatrix.c lib/base/str.h lib/base/err.h \
  bin/common.h lib/base/file.h lib/base/hash.h lib/base/json.h \
  bin/names.h lib/cli/opt.h lib/cli/tool.h lib/base/mem.h \
  lib/hub/cache.h lib/hub/list.h lib/hub/name.h bin/vocab.h \
  lib/text/tokenizer.h lib/dev/dev.h lib/model/model.h lib/graph/graph.h \
  lib/base/dtype.h lib/op/op.h lib/spec/peft.h lib/spec/spec.h \
  lib/io/gguf.h lib/io/safetensors.h lib/io/store.h bin/gguf.h \
  lib/cli/verb.h lib/train/collect.h lib/quant/imatrix.h

lib/base/str.h:

lib/base/err.h:

bin/common.h:

lib/base/file.h:

lib/base/hash.h:

lib/base/json.h:

bin/names.h:

lib/cli/opt.h:

lib/cli/tool.h:

lib/base/mem.h:

lib/hub/cache.h:

lib/hub/list.h:

lib/hub/name.h:

bin/vocab.h:

lib/text/tokenizer.h:

lib/dev/dev.h:

lib/model/model.h:

lib/graph/graph.h:

lib/base/dtype.h:

lib/op/op.h:

lib/spec/peft.h:

lib/spec/spec.h:

lib/io/gguf.h:

lib/io/safetensors.h:

lib/io/store.h:

bin/gguf.h:

lib/cli/verb.h:

lib/train/collect.h:

lib/quant/imatrix.h:
