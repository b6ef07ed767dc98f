q0.o: lib/quant/q0.c lib/quant/codec.h lib/quant/quant.h lib/base/dtype.h \
  lib/base/err.h lib/quant/search.h lib/quant/wide.h

lib/quant/codec.h:

lib/quant/quant.h:

lib/base/dtype.h:

lib/base/err.h:

lib/quant/search.h:

lib/quant/wide.h:
