gguf_quantize.o: bin/gguf_quantize.c lib/base/file.h lib/base/err.h \
 lib/base/str.h lib/base/json.h bin/gguf.h bin/names.h lib/cli/opt.h \
 lib/cli/tool.h lib/base/mem.h lib/hub/cache.h lib/hub/list.h \
 lib/hub/name.h lib/cli/verb.h lib/io/store.h lib/base/hash.h \
 lib/io/gguf.h lib/base/dtype.h lib/io/safetensors.h lib/merge/convert.h \
 lib/spec/spec.h lib/merge/pack.h lib/quant/file.h lib/quant/imatrix.h \
 lib/quant/mix.h lib/quant/rows.h
lib/base/file.h:
lib/base/err.h:
lib/base/str.h:
lib/base/json.h:
bin/gguf.h:
bin/names.h:
lib/cli/opt.h:
lib/cli/tool.h:
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
lib/merge/convert.h:
lib/spec/spec.h:
lib/merge/pack.h:
lib/quant/file.h:
lib/quant/imatrix.h:
lib/quant/mix.h:
lib/quant/rows.h:
