convert_keys.o: lib/merge/convert_keys.c lib/base/file.h lib/base/err.h \
 lib/base/str.h lib/merge/convert_private.h lib/merge/convert.h \
 lib/io/gguf.h lib/base/dtype.h lib/base/json.h lib/io/safetensors.h \
 lib/spec/spec.h lib/base/mem.h lib/io/store.h lib/base/hash.h \
 lib/text/vocab_gguf.h lib/text/tokenizer.h
lib/base/file.h:
lib/base/err.h:
lib/base/str.h:
lib/merge/convert_private.h:
lib/merge/convert.h:
lib/io/gguf.h:
lib/base/dtype.h:
lib/base/json.h:
lib/io/safetensors.h:
lib/spec/spec.h:
lib/base/mem.h:
lib/io/store.h:
lib/base/hash.h:
lib/text/vocab_gguf.h:
lib/text/tokenizer.h:
