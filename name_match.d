name_match.o: lib/spec/name_match.c lib/spec/name_match.h lib/base/err.h \
  lib/base/mem.h

lib/spec/name_match.h:

lib/base/err.h:

lib/base/mem.h:
