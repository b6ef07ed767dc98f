rope.o: lib/spec/rope.c lib/spec/spec.h lib/base/json.h lib/base/err.h \
  lib/base/str.h lib/base/mem.h lib/io/gguf.h lib/base/dtype.h \
  lib/io/safetensors.h lib/base/file.h lib/io/store.h lib/base/hash.h

lib/spec/spec.h:

lib/base/json.h:

lib/base/err.h:

lib/base/str.h:

lib/base/mem.h:

lib/io/gguf.h:

lib/base/dtype.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/io/store.h:

lib/base/hash.h:
