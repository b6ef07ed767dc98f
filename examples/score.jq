# score.jq: how many answers are right. Arguments: $when, $test and $answers (records in the same order), $loss (pm-eval's line).
# JUDGE stands for a jq program that takes of an answer the part that must agree; finetune.mk puts it in.
def trim: gsub("^\\s+|\\s+$"; "");
def judge: JUDGE | trim;
[range($test | length) | ($answers[.].text | judge) == ($test[.].messages[-1].content | judge)]
| "\($when) fine-tuning: \(map(select(.)) | length) of \(length) held-out answers right, loss \($loss[0].loss * 1000 | round / 1000)"
