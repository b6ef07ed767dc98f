# demo.mk: the whole way on a small scale, from nothing to a model that answers; needs no network. `make demo` runs it.
#   1. a text of simple facts, sums, scenes and orders, and chats that ask about them, written by generate.awk
#   2. a model of a million parameters is trained on the text from random weights
#   3. an adapter is trained on the chats: pm-tokenize | pm-pack | pm-train
#   4. questions that are in none of the chats are asked before and after
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:

OUT ?= build/demo
SEED ?= 1
TEXTS ?= 15000
CHATS ?= 4000
here := $(dir $(lastword $(MAKEFILE_LIST)))
ifdef BIN
export PATH := $(BIN):$(PATH)
endif

demo: $(OUT)/model/model.safetensors $(OUT)/chats.jsonl $(OUT)/test.jsonl
	@$(MAKE) --no-print-directory -f $(here)finetune.mk MODEL=$(OUT)/model DATA=$(OUT)/chats.jsonl TEST=$(OUT)/test.jsonl OUT=$(OUT)/tune \
		LENGTH=256 BATCH=4 LR=2e-3 RANK=16 EPOCHS=2 NEW=20 SEED=$(SEED)
	@jq -rn --slurpfile p $(OUT)/tune/prompts.jsonl --slurpfile b $(OUT)/tune/before.jsonl --slurpfile a $(OUT)/tune/after.jsonl \
		'range(20; 23) | "\n\($$p[.].messages[-1].content)\n  before: \($$b[.].text | split("\n")[0])\n  after:  \($$a[.].text)"'

$(OUT)/%.jsonl:
	@mkdir -p $(OUT)
	awk -v kind=$* -v n=$($*) -v seed=$(SEED) -f $(here)generate.awk >$@
text := $(TEXTS)
chats := $(CHATS)
test := 100

$(OUT)/text.blocks: $(OUT)/text.jsonl
	pm-tokenize -m $(here)model --eos $< | pm-pack -l 256 -s $(SEED) >$@

$(OUT)/model/model.safetensors: $(OUT)/text.blocks
	pm-train --init $(here)model/config.json --dtype f32 --lr 2e-3 --warmup 100 --schedule cosine --weight-decay 0.01 --betas 0.9,0.98 --batch 4 \
		--epochs 1 --seed $(SEED) --metrics $(OUT)/metrics.jsonl -o $(OUT)/model $<
	bash $(here)plot.sh "loss of the training from nothing" $(OUT)/loss.png $(OUT)/metrics.jsonl

.PHONY: demo
