# pm: language-model work as Unix tools. `make help` lists what can be made.
B ?= build
include config.mk

VERSION := $(shell cat VERSION)
PM_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -D_XOPEN_SOURCE=700 -DCL_TARGET_OPENCL_VERSION=120 \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wundef \
	-ffp-contract=off -MMD -MP -Ilib -I. -DPM_VERSION='"$(VERSION)"' -DPM_SHAREDIR='"$(SHAREDIR)"'
LIBS = -Wl,--as-needed -lOpenCL -ljq -ljansson -larchive -lcurl -lgcrypt -lpcre2-8 -lutf8proc -lm -lpthread

# Everything is found by its place: a new file in lib/ROOM, bin, tests/unit, tests/op, man or share needs no line here.
LIB_OBJ := $(patsubst %.c,$B/%.o,$(wildcard lib/*/*.c))
TOOLS := $(patsubst bin/%.c,$B/bin/%,$(wildcard bin/pm-*.c))
UNIT := $(patsubst %.c,$B/%,$(wildcard tests/unit/*.c))
OP_OBJ := $(patsubst %.c,$B/%.o,$(wildcard tests/op/*.c))
OPTEST := $(if $(OP_OBJ),$B/tests/optest)
# One run of optest for each operation, so that they share the cores; a run for one that its list lacks is a failure.
OPS := $(patsubst tests/op/%.c,%,$(shell grep -l "^const struct op_test " tests/op/*.c))
OP_RUNS := $(OPS:%="$B/tests/optest %")
# The same on lesser machines, on one with AMX, and as on a GPU (PM_MASK in pm.7): what instruction sets change, and models.
MASKS := amx,bf16,vnni asm avx512 avx2 cpu
MASKED := $(foreach m,$(MASKS),"$B/tests/optest --mask $m -k q4_k linear head" "$B/tests/optest --mask $m -k bf16 linear head attention") \
	"$B/tests/optest --tiles -k bf16 linear head experts" "$B/tests/optest --tiles -k rounded attention" \
	"$B/tests/optest --mask cpu rms_norm layer_norm rope add act embed sample head" \
	$(foreach m,avx512 cpu,"env PM_MASK=$m $B/tests/unit/golden_forward llama" "env PM_MASK=$m $B/tests/unit/golden_greedy gemma3")
BENCH_OBJ := $(patsubst %.c,$B/%.o,$(wildcard tests/bench/*.c))
FUZZ := $(patsubst %.c,$B/%,$(wildcard tests/fuzz/*.c))
BATS := $(wildcard tests/*.bats)
MAN := $(wildcard man/*.[1-9])
TEST = PM_BUILD=$B bash tests/run

##: build the tools, into $B/bin; they run from there
all: $(TOOLS) $B/libpm.a

# What the objects were compiled with: rewritten only when it changes.
FLAGS = $(CC) $(PM_CFLAGS) $(CFLAGS) / $(LDFLAGS)
$B/flags: FORCE
	@mkdir -p $B
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@

# The directories stand here so that a file removed leaves the archive, too.
$B/libpm.a: $(LIB_OBJ) $(wildcard lib/*/.)
	@rm -f $@
	$(AR) rcs $@ $(LIB_OBJ)

$B/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(PM_CFLAGS) $(CFLAGS) -c -o $@ $<

# A tool that has outgrown one file keeps the rest of it in bin/NAME_*.c (pm-train: bin/train_*.c).
.SECONDEXPANSION:
$(TOOLS): $B/bin/pm-%: $B/bin/pm-%.o $$(addprefix $B/,$$(addsuffix .o,$$(basename $$(wildcard bin/$$*_*.c)))) $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(UNIT): %: %.o $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(FUZZ): %: %.o $B/libpm.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

$B/tests/optest: $(OP_OBJ) $B/libpm.a $(wildcard tests/op/.)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--export-dynamic-symbol=sigaction -o $@ $(OP_OBJ) $B/libpm.a $(LIBS)

# Test programs that find kernels outside their memory (tests/bounds/bounds.c): what it stands in for.
BOUNDS = pm_mem_new pm_mem_zeros pm_mem_map pm_mem_part pm_mem_free pm_graph_new pm_plan_new pm_plan_alloc pm_plan_free pm_launch main
BOUNDED_UNIT := chain thin_bits golden_forward golden_greedy golden_woven golden_coded golden_adapters golden_train
BOUNDED_RUNS = $B/tests/bounds/self $(OPS:%="$B/tests/bounds/optest %") $(BOUNDED_UNIT:%=$B/tests/bounds/%) \
	$(foreach m,avx512 avx2 cpu,"$B/tests/bounds/optest --mask $m -k q4_k linear head" "$B/tests/bounds/optest --mask $m -k bf16 linear head attention") \
	"$B/tests/bounds/optest --tiles -k bf16 linear head experts" "$B/tests/bounds/optest --mask cpu rms_norm layer_norm rope add act embed sample"
LINK_BOUNDED = $(CC) $(CFLAGS) $(LDFLAGS) $(BOUNDS:%=-Wl,--wrap=%) -Wl,--export-dynamic-symbol=sigaction -o $@ $^ $(LIBS)

$B/tests/bounds/optest: $(OP_OBJ) $B/tests/bounds/bounds.o $B/libpm.a
	$(LINK_BOUNDED)

$B/tests/bounds/self: $B/tests/bounds/self.o $B/tests/bounds/bounds.o $B/libpm.a
	$(LINK_BOUNDED)

$B/tests/bounds/%: $B/tests/unit/%.o $B/tests/bounds/bounds.o $B/libpm.a
	$(LINK_BOUNDED)

# A hub on the loopback, for the tests of pm-fetch alone.
$B/tests/server/hub: $B/tests/server/hub.o $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lmicrohttpd

$B/tests/benchmark: $(BENCH_OBJ) $B/libpm.a $(wildcard tests/bench/.)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(BENCH_OBJ) $B/libpm.a $(LIBS)

-include $(wildcard $B/lib/*/*.d $B/bin/*.d $B/tests/*/*.d)

##: all tests
check: all $(UNIT) $(OPTEST) $B/tests/server/hub $B/tests/bounds/self
	@$(TEST) $(UNIT) $B/tests/bounds/self $(OP_RUNS) $(MASKED) $(BATS)

##: the unit programs alone
check-unit: $(UNIT)
	@$(TEST) $(UNIT)

##: the operations alone, against their references; OP=NAME for one of them
check-op: $(OPTEST)
	@$(if $(OP),$(OPTEST) $(OP),$(TEST) $(OP_RUNS))

##: the operations and some models as on machines without AVX-512 and the like, and as on a GPU
check-masks: $(OPTEST) $B/tests/unit/golden_forward $B/tests/unit/golden_greedy
	@$(TEST) $(MASKED)

##: the operations and some models, each memory between pages that nobody may touch: what kernels read or write outside; OP=NAME for one operation
check-bounds: $B/tests/bounds/optest $B/tests/bounds/self $(BOUNDED_UNIT:%=$B/tests/bounds/%)
	@$(if $(OP),$B/tests/bounds/optest $(OP),$(TEST) $(BOUNDED_RUNS))

##: the tools alone; T=NAME for one bats file
check-tools: all $B/tests/server/hub
	@$(if $(T),PM_BUILD=$B bats tests/$(T).bats,$(TEST) $(BATS))

##: builds by gcc and clang with warnings as errors; static analysis; man pages; shell scripts
lint:
	$(MAKE) B=$B/lint-gcc CC=gcc CFLAGS='-O2 -g -Werror' lint-build
	$(MAKE) B=$B/lint-clang CC=clang CFLAGS='-O1 -g -Werror' lint-build
	$(if $(shell command -v cppcheck),cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr -Ilib --enable=warning --enable=portability \
		--suppress=missingIncludeSystem --suppress=preprocessorErrorDirective --include=tests/cppcheck.h \
		lib $(if $(TOOLS),bin))
	! mandoc -Tlint -Wstyle $(MAN) | grep -v "referenced manual not found"
	$(if $(shell command -v shellcheck),shellcheck setup.sh .ci/run tests/run tests/fuzz/run tests/fuzz/seeds tests/tokbench/run tests/bench/llamacpp tests/bench/start tests/bench/accuracy tests/bench/gpt2 tests/bench/torch tests/bench/floors $(wildcard tests/*.bash tests/bench/run examples/*.sh))

lint-build: all $(UNIT) $(OPTEST) $B/tests/bounds/optest $B/tests/bounds/self $B/tests/benchmark $B/tests/tokbench/tokbench $B/tests/server/hub

##: unit tests under the address and undefined behaviour sanitizers
sanitize:
	ASAN_OPTIONS=allocator_may_return_null=1 LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 $(MAKE) B=$B-sanitize CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' check-unit

##: feed the parsers mutated files under the sanitizers (clang), each for FUZZ_SECONDS (20); T=NAME for one of them
fuzz: all
	$(MAKE) B=$B-fuzz CC=clang LDFLAGS= CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' fuzz-build
	PM_BUILD=$B-fuzz PM_TOOLS=$B/bin bash tests/fuzz/run $(T)

fuzz-build: $(FUZZ)

##: train a small model from nothing, fine-tune it and let it answer; needs no network
demo: all
	$(MAKE) -f examples/demo.mk BIN=$(abspath $B/bin)

##: measure speed
bench: all $B/tests/benchmark
	PM_BUILD=$B bash tests/bench/run

##: pm beside llama.cpp on one GGUF: LLAMACPP=DIR of its programs, M=FILE.gguf
bench-llamacpp: all
	LLAMACPP='$(LLAMACPP)' PM_BUILD=$B bash tests/bench/llamacpp '$(M)'

##: perplexity by the plain kernels and by the fast ones: M='MODEL ...', TEXT=FILE, MASKS='avx512 ...'
bench-accuracy: all
	TEXT='$(TEXT)' MASKS='$(MASKS)' PM_BUILD=$B bash tests/bench/accuracy $(M)

##: milliseconds to the first token, warm and the first time ever; M='MODEL ...' beside reading their bytes
bench-start: all
	PM_BUILD=$B bash tests/bench/start $(M)

##: a full step of GPT-2 124M beside PyTorch and llm.c: PYTHON=PYTHON, LLMC=DIR of its sources
bench-gpt2: all
	PYTHON='$(PYTHON)' LLMC='$(LLMC)' PM_BUILD=$B bash tests/bench/gpt2 $(SHAPES)

##: kernels over 5 % of the time of prompts and training steps beside what the device could do: M='MODEL ...' (tests/bench/floors)
bench-floors: all
	ROWS='$(ROWS)' MEASURE='$(MEASURE)' PM_BUILD=$B bash tests/bench/floors $(M)

##: LoRA training beside PyTorch + PEFT: PYTHON=PYTHON that has them; SHAPES, LENGTHS, MODES for some of them (tests/bench/torch)
bench-torch: all $B/tests/benchmark
	PYTHON='$(PYTHON)' LENGTHS='$(LENGTHS)' MODES='$(MODES)' PM_BUILD=$B bash tests/bench/torch $(SHAPES)

$B/tests/tokbench/tokbench: $B/tests/tokbench/main.o $B/libpm.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

##: measure the tokenizers against others'; M=NAME for one of them
bench-tokenize: all $B/tests/tokbench/tokbench
	PM_BUILD=$B bash tests/tokbench/run $(M)

##: install under $(DESTDIR)$(PREFIX)
install: all install-files

install-files:
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(SHAREDIR)'
	for f in $(TOOLS); do install -m 755 $$f '$(DESTDIR)$(BINDIR)' || exit 1; done
	for f in $(MAN); do install -D -m 644 $$f '$(DESTDIR)$(MANDIR)'/man$${f##*.}/$${f##*/} || exit 1; done
	for f in $$(find kernels share -type f ! -path "share/completions/*"); do \
		install -D -m 644 $$f '$(DESTDIR)$(SHAREDIR)'/$${f#share/} || exit 1; done
	install -D -m 644 share/completions/pm.bash '$(DESTDIR)$(BASHCOMPDIR)'/pm.bash
	for f in $(notdir $(TOOLS)); do ln -sf pm.bash '$(DESTDIR)$(BASHCOMPDIR)'/$$f || exit 1; done
	install -D -m 644 share/completions/_pm '$(DESTDIR)$(ZSHCOMPDIR)'/_pm

##: remove what install put there
uninstall:
	rm -f $(TOOLS:$B/bin/%='$(DESTDIR)$(BINDIR)/%')
	for f in $(notdir $(MAN)); do rm -f '$(DESTDIR)$(MANDIR)'/man$${f##*.}/$$f; done
	rm -rf '$(DESTDIR)$(SHAREDIR)'
	rm -f $(TOOLS:$B/bin/%='$(DESTDIR)$(BASHCOMPDIR)/%') '$(DESTDIR)$(BASHCOMPDIR)'/pm.bash '$(DESTDIR)$(ZSHCOMPDIR)'/_pm

##: pm-$(VERSION).tar.gz of the last commit
dist:
	git archive --prefix=pm-$(VERSION)/ HEAD | gzip -9n >pm-$(VERSION).tar.gz

##: remove what was built
clean:
	rm -rf $B $B-sanitize $B-fuzz pm-$(VERSION).tar.gz

##: this list
help:
	@awk '/^##: / { text = substr($$0, 5); next } text != "" { sub(/:.*/, ""); printf "%-14s %s\n", $$0, text; text = "" }' Makefile
	@echo "variables (config.mk; also make NAME=VALUE): CC CFLAGS LDFLAGS PREFIX BINDIR MANDIR SHAREDIR BASHCOMPDIR ZSHCOMPDIR DESTDIR B"

FORCE:
.PHONY: all check check-unit check-op check-masks check-bounds check-tools lint lint-build sanitize fuzz fuzz-build demo bench bench-llamacpp bench-start bench-accuracy bench-gpt2 bench-torch bench-floors bench-tokenize install install-files uninstall dist clean help FORCE
.SECONDARY:
.DELETE_ON_ERROR:
