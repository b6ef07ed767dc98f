/* model.c: bench rows of whole models: random llamas of 0.44 and 1.1 B parameters in bfloat16, made in a temporary directory (2.2 GB).
 * Reading a prompt, decoding, and for the smaller one a LoRA step (rank 16, all linear layers, a row of 512 tokens). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "bench.h"
#include "cli/tool.h"
#include "run/engine.h"
#include "train/trainer.h"

#define CONFIG(hidden, inner, layers, heads, kv) \
	"{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":" hidden ",\"intermediate_size\":" inner "," \
	"\"num_hidden_layers\":" layers ",\"num_attention_heads\":" heads ",\"num_key_value_heads\":" kv ",\"head_dim\":64," \
	"\"vocab_size\":32000,\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0," \
	"\"tie_word_embeddings\":false,\"hidden_act\":\"silu\",\"torch_dtype\":\"bfloat16\"}\n"

static const char small[] = CONFIG("1024", "4096", "24", "16", "8"), large[] = CONFIG("2048", "5632", "22", "32", "4");

static struct bench_time of_three(const double t[3])
{
	double lo = t[0] < t[1] ? t[0] : t[1], hi = t[0] < t[1] ? t[1] : t[0];

	return (struct bench_time){lo < t[2] ? lo : t[2], t[2] < lo ? lo : t[2] > hi ? hi : t[2]};
}

/* ---- reading and decoding ---- */

#define PROMPT 512
#define ANSWER 64

struct one {
	struct pm_sequence s;
	bool given;
};

static struct pm_sequence *next(void *arg, struct pm_err *e)
{
	struct one *o = arg;

	(void)e;
	if (o->given)
		return NULL;
	o->given = true;
	return &o->s;
}

static void infer(struct bench *b, struct pm_model *m, const char *name)
{
	struct pm_engine_opts eo = {.slots = 1, .context = PROMPT + ANSWER};
	struct pm_engine_calls c = {.next = next, .clock = pm_clock};
	struct pm_engine *g;
	double bytes = 0, read[3], decode[3];
	char what[64];
	size_t i;
	int run, k;

	for (i = 0; i < m->nweights; i++)
		if (strcmp(m->weight[i].spec->use, "embed"))
			bytes += (double)pm_mem_size(m->weight[i].mem);
	bench_must(b, pm_engine_new(&g, m, NULL, &eo, &b->e));
	for (run = -1; run < 3; run++) {
		struct one o = {.s = {.max_tokens = ANSWER, .how = {.top_p = 1, .penalty = 1}}};
		struct pm_engine_stats st;

		bench_must(b, pm_grow(&o.s.ids, &o.s.cap, PROMPT, sizeof *o.s.ids, &b->e));
		for (k = 0; k < PROMPT; k++)    /* another first token each time, so that nothing is in the cache */
			o.s.ids[k] = (run + 2 + k * 7919) % 32000;
		o.s.n = PROMPT;
		c.arg = &o;
		bench_must(b, pm_engine_run(g, &c, &st, &b->e));
		free(o.s.ids);
		if (run < 0)
			continue;
		read[run] = st.prefill_seconds;
		decode[run] = st.decode_seconds / (ANSWER - 1);
	}
	snprintf(what, sizeof what, "%s bf16: a prompt of 512, tokens", name);
	bench_row(b, what, of_three(read), PROMPT * 1e9, "tok/s", NULL);
	snprintf(what, sizeof what, "%s bf16: decode, tokens", name);
	bench_row(b, what, of_three(decode), 1e9, "tok/s", NULL);
	snprintf(what, sizeof what, "%s bf16: decode, weights read", name);
	bench_row(b, what, of_three(decode), bytes, "GB/s", "dram");
	pm_engine_free(g);
}

/* ---- a LoRA step ---- */

static void lora(struct bench *b, struct pm_model *m)
{
	struct pm_lora_config c = {.r = 16, .alpha = 32};
	struct pm_train_opts o = {.batch = 1, .accum = 1, .epochs = 100, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1,
		.schedule = {.kind = PM_SCHEDULE_CONSTANT, .lr = 1e-4}};
	struct pm_record rec = {0};
	struct pm_adapters *a;
	struct pm_rows *rows;
	struct pm_trainer *t;
	struct pm_step s;
	struct rusage u;
	double sec[3];
	int i;

	bench_must(b, pm_adapters_train(&a, m, NULL, &c, 1, &b->e));
	bench_must(b, pm_rows_new(&rows, "/tmp", 32000, &b->e));
	bench_must(b, pm_grow(&rec.ids, &rec.cap, 512, sizeof *rec.ids, &b->e));
	for (i = 0; i < 512; i++)
		rec.ids[i] = (i * 7919 + 3) % 32000;
	rec.n = 512;
	bench_must(b, pm_rows_add(rows, &rec, &b->e));
	bench_must(b, pm_trainer_new(&t, m, a, rows, &o, &b->e));
	bench_must(b, pm_trainer_alloc(t, &b->e));
	for (i = 0; i < 4; i++) {
		bench_must(b, pm_trainer_step(t, &s, pm_clock, &b->e));
		if (i)          /* the first one compiles */
			sec[i - 1] = s.seconds;
	}
	getrusage(RUSAGE_SELF, &u);
	bench_row(b, "0.44 B bf16: LoRA step of 512, tokens", of_three(sec), 512e9, "tok/s", NULL);
	printf("%-44s %10.0f MB\n", "0.44 B bf16: peak memory so far", (double)u.ru_maxrss / 1024);
	pm_trainer_free(t);
	pm_rows_close(rows);
	pm_record_free(&rec);
	pm_adapters_free(a);
}

static void measure(struct bench *b, const char *name, const char *config, bool train)
{
	const char *tmp = getenv("TMPDIR");
	struct pm_model *m;
	char dir[500];

	snprintf(dir, sizeof dir, "%s/pm-bench-model-%ld", tmp && *tmp ? tmp : "/tmp", (long)getpid());
	bench_make_model(b, dir, config, strlen(config));
	bench_must(b, pm_model_open(&m, dir, "share", NULL, b->dev, PM_PREC_AUTO, false, &b->e));
	infer(b, m, name);
	if (train)
		lora(b, m);
	pm_model_close(m);
	bench_must(b, pm_remove_tree(dir, &b->e));
}

BENCH(60, model)
{
	measure(b, "0.44 B", small, true);
	measure(b, "1.1 B", large, false);
}
