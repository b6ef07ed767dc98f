pack.o: lib/merge/pack.c lib/merge/pack.h lib/base/err.h lib/base/file.h \
  lib/base/str.h lib/base/mem.h lib/io/shards.h lib/io/safetensors.h \
  lib/base/dtype.h lib/base/json.h lib/io/store.h lib/base/hash.h \
  lib/io/gguf.h lib/quant/packed.h lib/quant/quant.h lib/spec/spec.h

lib/merge/pack.h:

lib/base/err.h:

lib/base/file.h:

lib/base/str.h:

lib/base/mem.h:

lib/io/shards.h:

lib/io/safetensors.h:

lib/base/dtype.h:

lib/base/json.h:

lib/io/store.h:

lib/base/hash.h:

lib/io/gguf.h:

lib/quant/packed.h:

lib/quant/quant.h:

lib/spec/spec.h:
