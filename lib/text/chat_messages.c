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

/* A call with its arguments as a value; the call itself where they are none as text. NULL: out of memory. */
static json_t *call_of(json_t *call)
{
	json_t *function = json_object_get(call, "function"), *text = json_object_get(function, "arguments"), *v, *copy, *inner;

	v = json_is_string(text) ? json_loadb(json_string_value(text), json_string_length(text), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL;
	if (!json_is_object(v)) {
		json_decref(v);
		return json_incref(call);
	}
	copy = json_copy(call);
	inner = json_copy(function);
	if (json_object_set_new(inner, "arguments", v) < 0 || json_object_set_new(copy, "function", inner) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

static json_t *message_of(json_t *m)
{
	json_t *calls = json_object_get(m, "tool_calls"), *list, *copy;
	size_t i;

	if (!json_array_size(calls))
		return json_incref(m);
	list = json_array();
	for (i = 0; list && i < json_array_size(calls); i++)
		if (json_array_append_new(list, call_of(json_array_get(calls, i))) < 0) {
			json_decref(list);
			return NULL;
		}
	copy = json_copy(m);
	if (json_object_set_new(copy, "tool_calls", list) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

json_t *pm_chat_calls(const json_t *messages, struct pm_err *e)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list && i < json_array_size(messages); i++) {
		if (json_array_append_new(list, message_of(json_array_get(messages, i))) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	if (!list)
		pm_fail(e, PM_SOFTWARE, "out of memory");
	return list;
}
