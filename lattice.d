lattice.o: lib/quant/lattice.c lib/quant/lattice.h lib/quant/codec.h \
  lib/quant/quant.h lib/base/dtype.h lib/base/err.h lib/quant/wide.h

lib/quant/lattice.h:

lib/quant/codec.h:

lib/quant/quant.h:

lib/base/dtype.h:

lib/base/err.h:

lib/quant/wide.h:
