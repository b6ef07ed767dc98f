# make: build.  make help: everything else.
B ?= build
include config.mk

VERSION := $(shell cat VERSION)
PM_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -D_XOPEN_SOURCE=700 -DCL_TARGET_OPENCL_VERSION=120 \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wundef \
	-ffp-contract=off -MMD -MP -Ilib -DPM_VERSION='"$(VERSION)"' -DPM_SHAREDIR='"$(SHAREDIR)"'
LIBS = -Wl,--as-needed -lOpenCL -ljq -ljansson -larchive -lgcrypt -lpcre2-8 -lutf8proc -lm -lpthread

LIB_SRC := $(wildcard lib/*/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$B/%.o)
TOOLS := $(patsubst bin/%.c,%,$(wildcard bin/*.c))
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c))
OPTEST := $(wildcard tests/op/*.c)

all: $(TOOLS:%=$B/bin/%)

$B/libpm.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(PM_CFLAGS) $(CFLAGS) -c -o $@ $<

$B/bin/%: $B/bin/%.o $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$B/tests/unit/%: $B/tests/unit/%.o $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$B/tests/optest: $(OPTEST:%.c=$B/%.o) $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(wildcard $B/lib/*/*.d $B/bin/*.d $B/tests/*/*.d)

clean:
	rm -rf $B

.PHONY: all clean
.SECONDARY:
