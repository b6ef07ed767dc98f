peft_gguf.o: lib/spec/peft_gguf.c lib/io/gguf.h lib/base/dtype.h \
  lib/base/err.h lib/base/json.h lib/base/str.h lib/io/safetensors.h \
  lib/base/file.h lib/quant/quant.h lib/spec/peft_private.h \
  lib/spec/load.h lib/spec/spec.h lib/base/mem.h lib/io/store.h \
  lib/base/hash.h lib/spec/peft.h

lib/io/gguf.h:

lib/base/dtype.h:

lib/base/err.h:

lib/base/json.h:

lib/base/str.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/quant/quant.h:

lib/spec/peft_private.h:

lib/spec/load.h:

lib/spec/spec.h:

lib/base/mem.h:

lib/io/store.h:

lib/base/hash.h:

lib/spec/peft.h:
