convert_items.o: lib/merge/convert_items.c lib/merge/convert_private.h \
 lib/merge/convert.h lib/io/gguf.h lib/base/dtype.h lib/base/err.h \
 lib/base/json.h lib/base/str.h lib/io/safetensors.h lib/base/file.h \
 lib/spec/spec.h lib/base/mem.h lib/io/store.h lib/base/hash.h \
 lib/text/vocab_gguf.h lib/text/tokenizer.h
lib/merge/convert_private.h:
lib/merge/convert.h:
lib/io/gguf.h:
lib/base/dtype.h:
lib/base/err.h:
lib/base/json.h:
lib/base/str.h:
lib/io/safetensors.h:
lib/base/file.h:
lib/spec/spec.h:
lib/base/mem.h:
lib/io/store.h:
lib/base/hash.h:
lib/text/vocab_gguf.h:
lib/text/tokenizer.h:
