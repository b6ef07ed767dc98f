#include "text/chat.h"

/* Its reasoning, of whatever kind; NULL: none. */
static json_t *reasoning(const json_t *m)
{
	static const char *const keys[] = {"reasoning_content", "thinking", "reasoning"};
	json_t *v;
	size_t i;

	for (i = 0; i < sizeof keys / sizeof *keys; i++) {
		v = json_object_get(m, keys[i]);
		if (v && !json_is_null(v))
			return v;
	}
	return NULL;
}

/* The message with its reasoning under both names. */
static json_t *with_reasoning(json_t *m, json_t *thought)
{
	json_t *copy = json_object();

	if (copy && json_object_set(copy, "thinking", thought) == 0 && json_object_update(copy, m) == 0 &&
	    json_object_set(copy, "reasoning_content", thought) == 0)
		return copy;
	json_decref(copy);
	return NULL;
}

json_t *pm_chat_messages(const json_t *messages, struct pm_err *e)
{
	json_t *list = json_array(), *m, *copy, *thought;
	size_t i;

	for (i = 0; list && i < json_array_size(messages); i++) {
		m = json_array_get(messages, i);
		thought = reasoning(m);
		copy = thought ? with_reasoning(m, thought) : json_incref(m);
		if (json_array_append_new(list, copy) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	if (!list)
		pm_fail(e, PM_SOFTWARE, "out of memory");
	return list;
}
