peft_experts.o: lib/spec/peft_experts.c lib/quant/quant.h \
  lib/base/dtype.h lib/base/err.h lib/spec/peft_private.h \
  lib/spec/load.h lib/spec/spec.h lib/base/json.h lib/base/str.h \
  lib/base/mem.h lib/io/gguf.h lib/io/safetensors.h lib/base/file.h \
  lib/io/store.h lib/base/hash.h lib/spec/peft.h

lib/quant/quant.h:

lib/base/dtype.h:

lib/base/err.h:

lib/spec/peft_private.h:

lib/spec/load.h:

lib/spec/spec.h:

lib/base/json.h:

lib/base/str.h:

lib/base/mem.h:

lib/io/gguf.h:

lib/io/safetensors.h:

lib/base/file.h:

lib/io/store.h:

lib/base/hash.h:

lib/spec/peft.h:
