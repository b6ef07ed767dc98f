gguf_convert.o: bin/gguf_convert.c lib/base/file.h lib/base/err.h \
  lib/base/str.h bin/gguf.h bin/names.h lib/cli/opt.h lib/cli/tool.h \
  lib/base/json.h lib/base/mem.h lib/hub/cache.h lib/hub/list.h \
  lib/hub/name.h lib/cli/verb.h lib/io/store.h lib/base/hash.h \
  lib/io/gguf.h lib/base/dtype.h lib/io/safetensors.h bin/gguf_adapter.h \
  lib/spec/peft.h lib/spec/spec.h lib/merge/convert.h

lib/base/file.h:

lib/base/err.h:

lib/base/str.h:

bin/gguf.h:

bin/names.h:

lib/cli/opt.h:

lib/cli/tool.h:

lib/base/json.h:

lib/base/mem.h:

lib/hub/cache.h:

lib/hub/list.h:

lib/hub/name.h:

lib/cli/verb.h:

lib/io/store.h:

lib/base/hash.h:

lib/io/gguf.h:

lib/base/dtype.h:

lib/io/safetensors.h:

bin/gguf_adapter.h:

lib/spec/peft.h:

lib/spec/spec.h:

lib/merge/convert.h:
