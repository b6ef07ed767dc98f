/* pm-gguf: GGUF files: made, changed and shown; each verb is a file of its own (bin/gguf_VERB.c). */
#include "bin/gguf.h"

static const struct pm_verb *const verbs[] = {
	&gguf_check,
	&gguf_convert,
	&gguf_dump,
	&gguf_export,
	&gguf_hash,
	&gguf_imatrix,
	&gguf_join,
	&gguf_quantize,
	&gguf_set,
	&gguf_split,
};

static struct pm_tool tool = {.name = "pm-gguf", .operands = "VERB ...", .brief = "makes, changes and shows GGUF files"};

int main(int argc, char **argv)
{
	return pm_verb_main(&tool, verbs, sizeof verbs / sizeof *verbs, argc, argv);
}
