gguf_hash.o: bin/gguf_hash.c lib/base/file.h lib/base/err.h \
 lib/base/str.h lib/base/hash.h lib/base/mem.h bin/gguf.h bin/names.h \
 lib/cli/opt.h lib/cli/tool.h lib/base/json.h lib/hub/cache.h \
 lib/hub/list.h lib/hub/name.h lib/cli/verb.h lib/io/store.h \
 lib/io/gguf.h lib/base/dtype.h lib/io/safetensors.h
lib/base/file.h:
lib/base/err.h:
lib/base/str.h:
lib/base/hash.h:
lib/base/mem.h:
bin/gguf.h:
bin/names.h:
lib/cli/opt.h:
lib/cli/tool.h:
lib/base/json.h:
lib/hub/cache.h:
lib/hub/list.h:
lib/hub/name.h:
lib/cli/verb.h:
lib/io/store.h:
lib/io/gguf.h:
lib/base/dtype.h:
lib/io/safetensors.h:
