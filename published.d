published.o: lib/quant/published.c lib/quant/published.h lib/io/store.h \
  lib/base/hash.h lib/base/err.h lib/base/json.h lib/base/str.h \
  lib/io/gguf.h lib/base/dtype.h lib/io/safetensors.h lib/base/file.h \
  lib/base/mem.h lib/quant/hold.h lib/quant/packed.h \
  lib/quant/published_private.h lib/quant/quant.h lib/quant/scaled.h

lib/quant/published.h:

lib/io/store.h:

lib/base/hash.h:

lib/base/err.h:

lib/base/json.h:

lib/base/str.h:

lib/io/gguf.h:

lib/base/dtype.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/base/mem.h:

lib/quant/hold.h:

lib/quant/packed.h:

lib/quant/published_private.h:

lib/quant/quant.h:

lib/quant/scaled.h:
