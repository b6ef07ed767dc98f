export.o: lib/merge/export.c lib/merge/export.h lib/base/dtype.h \
 lib/base/err.h lib/base/json.h lib/base/str.h lib/base/file.h \
 lib/io/shards.h lib/io/safetensors.h lib/quant/published.h \
 lib/io/store.h lib/base/hash.h lib/io/gguf.h lib/quant/quant.h \
 lib/spec/spec.h lib/base/mem.h lib/text/vocab_gguf.h \
 lib/text/tokenizer.h
lib/merge/export.h:
lib/base/dtype.h:
lib/base/err.h:
lib/base/json.h:
lib/base/str.h:
lib/base/file.h:
lib/io/shards.h:
lib/io/safetensors.h:
lib/quant/published.h:
lib/io/store.h:
lib/base/hash.h:
lib/io/gguf.h:
lib/quant/quant.h:
lib/spec/spec.h:
lib/base/mem.h:
lib/text/vocab_gguf.h:
lib/text/tokenizer.h:
