dtype.o: lib/base/dtype.c lib/base/dtype.h
lib/base/dtype.h:
