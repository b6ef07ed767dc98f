gguf_export.o: bin/gguf_export.c bin/gguf.h bin/names.h lib/cli/opt.h \
 lib/base/err.h lib/cli/tool.h lib/base/json.h lib/base/str.h \
 lib/base/mem.h lib/hub/cache.h lib/hub/list.h lib/hub/name.h \
 lib/cli/verb.h lib/io/store.h lib/base/hash.h lib/io/gguf.h \
 lib/base/dtype.h lib/io/safetensors.h lib/base/file.h bin/gguf_adapter.h \
 lib/spec/peft.h lib/spec/spec.h lib/merge/export.h
bin/gguf.h:
bin/names.h:
lib/cli/opt.h:
lib/base/err.h:
lib/cli/tool.h:
lib/base/json.h:
lib/base/str.h:
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
lib/base/file.h:
bin/gguf_adapter.h:
lib/spec/peft.h:
lib/spec/spec.h:
lib/merge/export.h:
