/* chat.h: what the tools that render chats share: their options, and opening the template that these ask for. */
#ifndef PM_BIN_CHAT_H
#define PM_BIN_CHAT_H

#include <string.h>

#include "cli/opt.h"
#include "cli/tool.h"
#include "text/chat.h"

struct chat_args {
	const char *name, *args, *date;
};

#define CHAT_OPTS(c) \
	{.name = "chat-template", .kind = PM_OPT_STR, .arg = "NAME|FILE", .to = &(c)->name, \
	 .help = "one of the model's chat templates, of share/template (chatml, llama2, llama3, gemma, mistral), or a file [the model's]"}, \
	{.name = "chat-template-args", .kind = PM_OPT_STR, .arg = "JSON", .to = &(c)->args, \
	 .help = "variables for the chat template, an object"}, \
	{.name = "date", .kind = PM_OPT_STR, .arg = "DATE", .to = &(c)->date, \
	 .help = "the time that chat templates see [SOURCE_DATE_EPOCH, else now]"}

/* An error where one of them was given and has no effect. */
static inline int refuse_chat_opts(const struct pm_tool *t, const char *why, struct pm_err *e)
{
	return pm_opt_refuse(t, "chat-template", why, e) < 0 || pm_opt_refuse(t, "chat-template-args", why, e) < 0 ||
	    pm_opt_refuse(t, "date", why, e) < 0 ? -1 : 0;
}

/* `model` and the tokenizer may be NULL. What the options say wrongly is an error of status 64. */
static inline int open_chat_template(struct pm_template **out, const char *model, const struct chat_args *a, const struct pm_tokenizer *t,
	const char *share, struct pm_err *e)
{
	struct tm now;
	struct pm_template_opts o = {.share = share, .now = &now};
	json_t *args = NULL;
	int r;

	*out = NULL;
	if (pm_when(&now, a->date, e) < 0)
		return -1;
	if (a->args && (!(args = pm_json_parse(a->args, strlen(a->args), "--chat-template-args", e)) || !json_is_object(args))) {
		if (args)
			pm_fail(e, PM_USAGE, "--chat-template-args: an object was wanted");
		json_decref(args);
		e->status = PM_USAGE;
		return -1;
	}
	o.args = args;
	if (t && pm_tokenizer_bos(t) >= 0)
		o.bos = pm_tokenizer_token(t, pm_tokenizer_bos(t));
	if (t && pm_tokenizer_eos(t) >= 0)
		o.eos = pm_tokenizer_token(t, pm_tokenizer_eos(t));
	r = pm_template_open(out, model, a->name, &o, e);
	json_decref(args);
	return r;
}

#endif
