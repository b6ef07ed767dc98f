# finetune.mk: from a model and chats to an adapter, and what it changed.
#
#	make -f examples/finetune.mk MODEL=DIR DATA=FILE.jsonl [OUT=DIR] [NAME=VALUE ...]
#
# DATA has one record a line, with "messages"; MAP is a jq program that makes such records of others, as for GSM8K:
#	MAP='{messages: [{role: "user", content: .question}, {role: "assistant", content: .answer}]}'
# The last HELD records are kept for the test (or TEST names a file of them). What is made lies in OUT, each step a file, so that an
# interrupted run goes on where it was: train.jsonl test.jsonl train.blocks adapter/ metrics.jsonl before.jsonl after.jsonl
# loss.png report.txt. JUDGE is a jq program from an answer to the part of it that must agree.
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:

MODEL ?= $(error MODEL=DIR is wanted: a model directory)
DATA ?= $(error DATA=FILE is wanted: chats, one JSON record a line)
OUT ?= finetune
MAP ?= .
JUDGE ?= .
HELD ?= 100
LENGTH ?= 1024
RANK ?= 16
LR ?= 1e-3
EPOCHS ?= 1
BATCH ?= 8
ACCUM ?= 1
WARMUP ?= 20
SEED ?= 1
NEW ?= 64
TEMPLATE ?=
TRAIN ?=
here := $(dir $(lastword $(MAKEFILE_LIST)))
template = $(if $(TEMPLATE),--chat-template $(TEMPLATE))

report: $(OUT)/report.txt $(OUT)/loss.png
	@cat $(OUT)/report.txt

$(OUT)/records.jsonl: $(DATA)
	@mkdir -p $(OUT)
	jq -c '$(MAP)' $< >$@

$(OUT)/train.jsonl: $(OUT)/records.jsonl
	$(if $(TEST),cp $< $@,head -n -$(HELD) $< >$@)

$(OUT)/test.jsonl: $(if $(TEST),$(TEST),$(OUT)/records.jsonl)
	@mkdir -p $(OUT)
	$(if $(TEST),jq -c '$(MAP)' $< >$@,tail -n $(HELD) $< >$@)

$(OUT)/train.blocks: $(OUT)/train.jsonl
	pm-tokenize -m $(MODEL) $(template) $< | pm-pack -l $(LENGTH) -s $(SEED) >$@

$(OUT)/adapter/adapter_config.json: $(OUT)/train.blocks
	pm-train -m $(MODEL) --lora $(RANK) --lr $(LR) --warmup $(WARMUP) --schedule cosine --batch $(BATCH) --accum $(ACCUM) \
		--epochs $(EPOCHS) --seed $(SEED) --metrics $(OUT)/metrics.jsonl $(TRAIN) -o $(OUT)/adapter $<

$(OUT)/prompts.jsonl: $(OUT)/test.jsonl
	jq -c '{messages: .messages[:-1]}' $< >$@

$(OUT)/before.jsonl: $(OUT)/prompts.jsonl
	pm-infer -m $(MODEL) $(template) --json -t 0 -n $(NEW) <$< >$@

$(OUT)/after.jsonl: $(OUT)/prompts.jsonl $(OUT)/adapter/adapter_config.json
	pm-infer -m $(MODEL) -a $(OUT)/adapter $(template) --json -t 0 -n $(NEW) <$< >$@

# Questions that were never trained on: how many answers are right, and the loss of the right ones.
$(OUT)/before.loss: $(OUT)/test.jsonl
	pm-tokenize -m $(MODEL) $(template) $< | pm-eval -m $(MODEL) >$@

$(OUT)/after.loss: $(OUT)/test.jsonl $(OUT)/adapter/adapter_config.json
	pm-tokenize -m $(MODEL) $(template) $< | pm-eval -m $(MODEL) -a $(OUT)/adapter >$@

$(OUT)/report.txt: $(OUT)/before.jsonl $(OUT)/after.jsonl $(OUT)/before.loss $(OUT)/after.loss
	for w in before after; do \
		sed 's~JUDGE |~$(JUDGE) |~' $(here)score.jq | jq -rn -f /dev/stdin --arg when $$w --slurpfile answers $(OUT)/$$w.jsonl \
			--slurpfile test $(OUT)/test.jsonl --slurpfile loss $(OUT)/$$w.loss || exit 1; \
	done >$@

$(OUT)/loss.png: $(OUT)/adapter/adapter_config.json
	bash $(here)plot.sh "loss of the fine-tune" $@ $(OUT)/metrics.jsonl

.PHONY: report
