gguf.o: lib/spec/gguf.c lib/base/file.h lib/base/err.h lib/base/str.h \
  lib/spec/load.h lib/spec/spec.h lib/base/json.h lib/base/mem.h \
  lib/io/gguf.h lib/base/dtype.h lib/io/safetensors.h lib/io/store.h \
  lib/base/hash.h

lib/base/file.h:

lib/base/err.h:

lib/base/str.h:

lib/spec/load.h:

lib/spec/spec.h:

lib/base/json.h:

lib/base/mem.h:

lib/io/gguf.h:

lib/base/dtype.h:

lib/io/safetensors.h:

lib/io/store.h:

lib/base/hash.h:
