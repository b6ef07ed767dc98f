peft_write.o: lib/spec/peft_write.c lib/base/file.h lib/base/err.h \
 lib/base/str.h lib/io/safetensors.h lib/base/dtype.h lib/base/json.h \
 lib/spec/peft_private.h lib/spec/load.h lib/spec/spec.h lib/base/mem.h \
 lib/io/gguf.h lib/io/store.h lib/base/hash.h lib/spec/peft.h
lib/base/file.h:
lib/base/err.h:
lib/base/str.h:
lib/io/safetensors.h:
lib/base/dtype.h:
lib/base/json.h:
lib/spec/peft_private.h:
lib/spec/load.h:
lib/spec/spec.h:
lib/base/mem.h:
lib/io/gguf.h:
lib/io/store.h:
lib/base/hash.h:
lib/spec/peft.h:
