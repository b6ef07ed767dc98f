quant.o: lib/quant/quant.c lib/quant/codec.h lib/quant/quant.h \
 lib/base/dtype.h lib/base/err.h lib/quant/packed.h lib/quant/wide.h
lib/quant/codec.h:
lib/quant/quant.h:
lib/base/dtype.h:
lib/base/err.h:
lib/quant/packed.h:
lib/quant/wide.h:
