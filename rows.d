rows.o: lib/quant/rows.c lib/quant/rows.h lib/base/dtype.h lib/base/err.h \
  lib/base/mem.h lib/quant/quant.h lib/quant/wide.h

lib/quant/rows.h:

lib/base/dtype.h:

lib/base/err.h:

lib/base/mem.h:

lib/quant/quant.h:

lib/quant/wide.h:
