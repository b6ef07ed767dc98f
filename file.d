file.o: lib/quant/file.c lib/quant/file.h lib/io/gguf.h lib/base/dtype.h \
  lib/base/err.h lib/base/json.h lib/base/str.h lib/io/safetensors.h \
  lib/base/file.h lib/io/store.h lib/base/hash.h lib/quant/imatrix.h \
  lib/quant/mix.h lib/quant/rows.h lib/base/mem.h lib/quant/quant.h \
  lib/quant/scaled.h

lib/quant/file.h:

lib/io/gguf.h:

lib/base/dtype.h:

lib/base/err.h:

lib/base/json.h:

lib/base/str.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/io/store.h:

lib/base/hash.h:

lib/quant/imatrix.h:

lib/quant/mix.h:

lib/quant/rows.h:

lib/base/mem.h:

lib/quant/quant.h:

lib/quant/scaled.h:
