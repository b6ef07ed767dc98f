/* jinja_private.h: what the files of the interpreter (jinja_*.c) share. Its names begin with jj_.
 *
 *     jinja_lex      text -> tokens                     jinja_value    values: strings with their origin, lists, dicts
 *     jinja_parse    tokens -> expressions (and jinja_expr)  jinja_text     values -> text, as Python's str, repr and json.dumps
 *     jinja_stmt     tokens -> statements               jinja_ops      arithmetic and comparison
 *     jinja_eval     expressions                        jinja_call     arguments, attributes and subscripts
 *     jinja_exec     statements, loops, macros          jinja_filter*, jinja_test, jinja_method*, jinja_format, jinja_func: by name
 *
 * All memory of a render is one arena; nothing is freed before its end. Strings, lists and dicts never change once they are
 * values (the sandbox forbids it to templates), so slices share what they are cut from, and what is joined to the end of the newest
 * string or list is written behind it: text that is gathered in a loop costs what it is long. */
#ifndef PM_TEXT_JINJA_PRIVATE_H
#define PM_TEXT_JINJA_PRIVATE_H

#include "base/mem.h"
#include "text/jinja.h"

enum jj_kind {
	JJ_ABSENT,              /* no value: an argument that was not given */
	JJ_UNDEF, JJ_NONE, JJ_BOOL, JJ_INT, JJ_BIG, JJ_FLOAT, JJ_STR, JJ_LIST, JJ_DICT,
	JJ_FUNC,                /* a function or a bound method */
	JJ_MACRO, JJ_SPACE,     /* a namespace */
	JJ_LOOP, JJ_CYCLER, JJ_JOINER,
};

/* What a sequence is in Python. */
enum jj_shape { JJ_PLAIN, JJ_TUPLE, JJ_RANGE, JJ_KEYS, JJ_VALUES, JJ_ITEMS, JJ_GEN };

struct jj_val {
	uint8_t kind;
	uint8_t safe;                   /* a string that is Markup */
	uint8_t shape;                  /* of a list */
	uint32_t from, len;             /* a string's bytes, a list's elements within their store */
	union {
		bool b;
		int64_t i;
		double f;
		const struct jj_big *big;
		struct jj_bytes *s;
		struct jj_store *l;
		struct jj_dict *d;
		struct jj_undef *u;
		const struct jj_bound *fn;
		struct jj_macro *macro;
		struct jj_loop *loop;
		struct jj_cycler *cycler;
	};
};

/* Where bytes came from; a run's fields but for its end. */
struct jj_tag {
	uint8_t origin;
	int32_t message, turn;
	uint32_t mark;
};

struct jj_run {
	uint32_t to;
	struct jj_tag tag;
};

struct jj_bytes {
	char *data;
	uint32_t used, cap;             /* cap == used: borrowed, or full */
	bool own;                       /* what is in it was put there piece by piece */
	struct jj_run *runs, one;
	uint32_t nruns, cap_runs;
};

struct jj_store {
	struct jj_val *v;
	uint32_t used, cap;
	uint32_t at;                    /* GEN: elements taken */
	int64_t first, last, step;      /* RANGE, as it is printed */
	const char *name;               /* GEN: what Python calls it */
};

struct jj_dict {
	struct jj_val *keys, *vals;
	uint32_t n, cap, nindex;
	uint32_t *index, *hash;         /* a table of places from 9 keys on */
	int32_t message;                /* it is message i, or was made from it; −1 */
};

struct jj_undef {
	struct jj_val obj, name;        /* obj ABSENT: a variable */
	const char *hint;               /* the reason, where it is another */
};

struct jj_big {                         /* an integer beyond 64 bits: sign and digits of base 10^9, lowest first */
	bool negative;
	uint32_t n;
	uint32_t digit[];
};

struct jj_args {
	struct jj_val *pos;
	uint32_t npos;
	struct jj_val *names, *kw;      /* by name */
	uint32_t nkw;
};

struct jj_exec;

struct jj_builtin {
	const char *name;
	int (*call)(struct jj_exec *x, const struct jj_val *self, const struct jj_args *a, struct jj_val *out);
};

struct jj_bound {
	const struct jj_builtin *f;
	struct jj_val self;             /* ABSENT: a plain function */
};

/* ---- the tree ---- */

enum jj_type {
	/* expressions */
	JN_CONST, JN_NAME, JN_TUPLE, JN_LIST, JN_DICT, JN_COND, JN_AND, JN_OR, JN_NOT, JN_NEG, JN_POS, JN_BINARY, JN_CONCAT, JN_COMPARE,
	JN_ATTR, JN_ITEM, JN_SLICE, JN_CALL, JN_FILTER, JN_TEST, JN_NSREF,
	/* statements */
	JN_BODY, JN_TEXT, JN_PRINT, JN_IF, JN_FOR, JN_SET, JN_SETBLOCK, JN_MACRO, JN_CALLBLOCK, JN_FILTERBLOCK, JN_WITH, JN_BREAK, JN_CONTINUE,
	JN_GENERATION, JN_BLOCK,
};

enum jj_op {
	JO_ADD, JO_SUB, JO_MUL, JO_DIV, JO_FLOORDIV, JO_MOD, JO_POW, JO_EQ, JO_NE, JO_LT, JO_LE, JO_GT, JO_GE, JO_IN, JO_NOTIN,
};

/* What a, b, c and kids are, by type:
 *   TUPLE LIST CONCAT PRINT BODY  kids          DICT      kids: key, value, …        COND   a if b else c (c may be NULL)
 *   COMPARE a, kids: operands with op           ATTR      a, value: the name         SLICE  a : b : c
 *   CALL FILTER a, call (FILTER may be NULL)    TEST      a, call; FILTER's a NULL: of a block
 *   IF a, b body, c else                        FOR       a target, b iterable, c condition, kids: body, else; flag: recursive
 *   SET a target, b                             SETBLOCK  a target, b filter or NULL, c body
 *   MACRO sym, params, a body                   CALLBLOCK params, a call, b body     FILTERBLOCK a filter, b body
 *   WITH kids: target, value, …; a body         GENERATION BLOCK a body */
struct jj_node {
	uint8_t type, op;
	bool flag;
	uint32_t line;
	uint32_t sym;                   /* NAME, NSREF, MACRO */
	uint32_t nkids;
	struct jj_node *a, *b, *c, **kids;
	struct jj_val value;            /* CONST, TEXT, ATTR, and the name of a FILTER or TEST */
	const struct jj_builtin *builtin;
	struct jj_call *call;
	struct jj_params *params;
};

struct jj_call {
	struct jj_node **pos, **kw, *star, *stars;
	struct jj_val *names;
	uint32_t npos, nkw;
};

struct jj_params {
	uint32_t *sym;
	struct jj_node **fallback;      /* of the last nfallback ones */
	uint32_t n, nfallback;
	bool caller, varargs, kwargs;   /* the body asks for them */
};

struct pm_jinja {
	char *name;
	struct pm_arena arena;
	struct jj_node *body;
	struct jj_val *syms;            /* names of variables */
	size_t nsyms, cap_syms;
	bool marks;
};

/* ---- tokens ---- */

enum jj_token_kind { JT_EOF, JT_DATA, JT_VAR, JT_VAR_END, JT_BLOCK, JT_BLOCK_END, JT_NAME, JT_STRING, JT_INT, JT_FLOAT, JT_OP };

struct jj_token {
	uint8_t kind;
	char op[3];                     /* JT_OP: its characters */
	uint32_t line;
	const char *s;                  /* DATA, NAME, STRING (decoded), numbers (without underscores) */
	uint32_t n;
};

int jj_lex(struct pm_jinja *t, const char *text, size_t n, struct jj_token **tokens, size_t *ntokens, struct pm_err *e);

/* ---- parsing ---- */

struct jj_parser {
	struct pm_jinja *t;
	struct jj_token *tok;           /* the current one; the last is JT_EOF */
	size_t cap_tokens;
	unsigned depth, soft;           /* soft: within an if, where an unknown filter is an error only when it is reached */
	unsigned loops;                 /* around this place */
	struct jj_params *params;       /* of the macro around this place */
	const struct jj_node *unknown;  /* the first filter or test that does not exist, where that is an error at once */
	struct pm_err *e;
};

int jj_parse_fail(struct jj_parser *p, const char *fmt, ...) PM_PRINTF(2, 3);
struct jj_node *jj_node(struct jj_parser *p, enum jj_type type);
void *jj_parse_alloc(struct jj_parser *p, size_t n, size_t size);
int jj_push(struct jj_parser *p, void *list, size_t *cap, uint32_t n);
bool jj_is_name(const struct jj_parser *p, const char *name);
bool jj_is_op(const struct jj_parser *p, const char *op);
bool jj_skip_name(struct jj_parser *p, const char *name);
bool jj_skip_op(struct jj_parser *p, const char *op);
int jj_want_op(struct jj_parser *p, const char *op);
uint32_t jj_sym(struct jj_parser *p, const char *s, size_t n);          /* UINT32_MAX: out of memory */
int jj_const_str(struct jj_parser *p, struct jj_val *out, const char *s, size_t n);
struct jj_node *jj_parse_expr(struct jj_parser *p, bool conditional);
struct jj_node *jj_parse_unary(struct jj_parser *p, bool with_filter);
struct jj_node *jj_parse_primary(struct jj_parser *p);
/* An expression or a tuple without parentheses; `end`: a name that ends it, too. */
struct jj_node *jj_parse_tuple(struct jj_parser *p, bool simple, bool conditional, const char *end, bool parens);
struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *n, bool start_inline);
struct jj_node *jj_parse_call(struct jj_parser *p, struct jj_node *callee);
struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *n);
int jj_push_node(struct jj_parser *p, struct jj_node *list, struct jj_node *kid);
int jj_parse(struct pm_jinja *t, struct jj_token *tokens, struct pm_err *e);

/* ---- running ---- */

struct jj_var {
	uint32_t sym;
	struct jj_val v;
};

struct jj_scope {
	struct jj_scope *up;            /* NULL: the template's own */
	struct jj_var *vars;
	uint32_t n, cap;
	bool captured;                  /* a macro was defined in it */
};

struct jj_macro {
	const struct jj_node *node;     /* MACRO, CALLBLOCK */
	struct jj_scope *scope;
};

struct jj_loop {
	struct jj_val *v;               /* what is gone through */
	uint32_t n, i;
	unsigned depth;
	const struct jj_node *node;
	struct jj_scope *scope;         /* around the loop */
	struct jj_val changed;          /* what loop.changed saw last; ABSENT */
};

struct jj_cycler {
	struct jj_val *v;
	uint32_t n, at;
};

struct jj_exec {
	const struct pm_jinja *t;
	struct pm_arena arena;
	const struct pm_jinja_opts *o;
	struct jj_val *root, *given;    /* by symbol: set at the top; variables of the caller */
	struct jj_scope top, *scope;
	struct jj_val *out;             /* the string that is being written */
	struct jj_val *main;            /* the result */
	struct pm_jinja_result *result;
	int32_t message;                /* that the loop is at; −1: none */
	bool follow;                    /* in a loop that goes through something else than messages: what is set in it may be one */
	uint32_t mark, nmarks;          /* the {% generation %} around this place, and how many there were */
	uint32_t line;
	unsigned depth;
	uint64_t steps, max_steps, memory, max_memory;
	struct pm_err *e;
};

#define JJ_DEPTH 1500                   /* expressions and statements inside each other */

int jj_fail(struct jj_exec *x, const char *fmt, ...) PM_PRINTF(2, 3);
void *jj_alloc(struct jj_exec *x, size_t n, size_t size);              /* zeroed */
int jj_steps(struct jj_exec *x, uint64_t n);
static inline int jj_enter(struct jj_exec *x)
{
	if (++x->steps > x->max_steps)
		return jj_steps(x, 0);
	if (++x->depth > JJ_DEPTH)
		return jj_fail(x, "it nests deeper than %d", JJ_DEPTH);
	return 0;
}

/* jinja_value.c */
#define JJ_BYTES(str) ((str)->s->data + (str)->from)

struct jj_val jj_none(void);
struct jj_val jj_bool(bool b);
struct jj_val jj_int(int64_t i);
struct jj_val jj_float(double f);
int jj_str(struct jj_exec *x, struct jj_val *out, const char *s, size_t n, struct jj_tag tag);         /* copies */
int jj_cstr(struct jj_exec *x, struct jj_val *out, const char *s);                                     /* of the template, borrowed */
int jj_str_begin(struct jj_exec *x, struct jj_val *out);                                               /* empty, to be added to */
int jj_add(struct jj_exec *x, struct jj_val *dst, const struct jj_val *src);
int jj_add_part(struct jj_exec *x, struct jj_val *dst, const struct jj_val *src, size_t from, size_t to);
int jj_add_bytes(struct jj_exec *x, struct jj_val *dst, const char *s, size_t n, struct jj_tag tag);
int jj_add_cstr(struct jj_exec *x, struct jj_val *dst, const char *s);
int jj_emit(struct jj_exec *x, const struct jj_val *src);                                              /* to what is being written */
struct jj_val jj_cut(const struct jj_val *s, size_t from, size_t to);                                  /* bytes */
struct jj_tag jj_tag_at(const struct jj_val *s, size_t byte);
size_t jj_next(const struct jj_val *s, size_t at);                                                     /* where the next character begins */
bool jj_is(const struct jj_val *v, const char *text);
int jj_list(struct jj_exec *x, struct jj_val *out, size_t n, enum jj_shape shape);                     /* of n absent ones, to be filled */
int jj_list_add(struct jj_exec *x, struct jj_val *list, const struct jj_val *v);
int jj_gen(struct jj_exec *x, struct jj_val *list, const char *name);                                  /* makes it a generator */
#define JJ_AT(list_, i) (&(list_)->l->v[(list_)->from + (i)])
int jj_dict(struct jj_exec *x, struct jj_val *out);
int jj_dict_set(struct jj_exec *x, struct jj_val *d, const struct jj_val *key, const struct jj_val *v);
struct jj_val *jj_dict_get(struct jj_exec *x, const struct jj_val *d, const struct jj_val *key);      /* NULL: not there, or an error */
struct jj_val *jj_dict_find(struct jj_exec *x, const struct jj_val *d, const char *key);
int jj_from_json(struct jj_exec *x, struct jj_val *out, const json_t *j, struct jj_tag tag, int32_t message);

/* jinja_text.c: appended to dst */
int jj_put_str(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v);                         /* Python's str() */
int jj_put_repr(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v);
int jj_to_str(struct jj_exec *x, struct jj_val *out, const struct jj_val *v);                          /* str(); a string is itself */
int jj_put_escaped(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v);                     /* for HTML */
struct jj_json { bool ascii, sort; int indent; const struct jj_val *indent_text, *item, *key; };       /* indent −1: none */
int jj_put_json(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v, const struct jj_json *o);
void jj_float_text(char out[40], double f);
const char *jj_type_name(const struct jj_val *v);
const char *jj_show(struct jj_exec *x, const struct jj_val *v);                                        /* repr for a message, cut */

/* jinja_big.c: integers of any size */
int jj_big_binary(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, struct jj_val *out);
int jj_big_compare(const struct jj_val *a, const struct jj_val *b);
int jj_big_parse(struct jj_exec *x, const char *digits, size_t n, bool negative, struct jj_val *out);
int jj_big_put(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v);
double jj_big_float(const struct jj_val *v);
int jj_big_from_float(struct jj_exec *x, double f, struct jj_val *out);
int jj_big_negate(struct jj_exec *x, const struct jj_val *v, struct jj_val *out);

/* jinja_ops.c */
bool jj_truth(const struct jj_val *v);
bool jj_is_int(const struct jj_val *v);                                                                /* as a bool is, too */
bool jj_is_number(const struct jj_val *v);
double jj_number(const struct jj_val *v);
int jj_binary(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, struct jj_val *out);
int jj_negate(struct jj_exec *x, const struct jj_val *v, struct jj_val *out);
int jj_equal(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, bool *out);
int jj_less(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, const char *op, bool *out);  /* a < b; op for messages */
int jj_contains(struct jj_exec *x, const struct jj_val *in, const struct jj_val *what, bool *out);
int jj_compare(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, bool *out);
int jj_undefined(struct jj_exec *x, const struct jj_val *v);                                           /* the error of using it; −1 */
int jj_length(struct jj_exec *x, const struct jj_val *v, int64_t *n);
int jj_items(struct jj_exec *x, const struct jj_val *v, struct jj_val *list);                          /* what it gives when gone through: a list */
bool jj_iterable(const struct jj_val *v);

/* jinja_call.c */
int jj_attr(struct jj_exec *x, const struct jj_val *v, const struct jj_val *name, struct jj_val *out);
int jj_item(struct jj_exec *x, const struct jj_val *v, const struct jj_val *key, struct jj_val *out);
int jj_slice(struct jj_exec *x, const struct jj_val *v, const struct jj_val abc[3], struct jj_val *out);
int jj_path(struct jj_exec *x, const struct jj_val *v, const struct jj_val *path, struct jj_val *out); /* "a.b.0" of attribute= */
int jj_call(struct jj_exec *x, const struct jj_val *f, const struct jj_args *a, struct jj_val *out);
/* Arguments to the parameters of a built-in function: "value,default=,boolean=": those with '=' may be absent. */
int jj_bind(struct jj_exec *x, const char *function, const struct jj_args *a, const char *params, struct jj_val *out);
int jj_want_int(struct jj_exec *x, const char *function, const struct jj_val *v, int64_t *out);

/* jinja_eval.c, jinja_exec.c */
int jj_eval(struct jj_exec *x, const struct jj_node *n, struct jj_val *out);
int jj_filter(struct jj_exec *x, const struct jj_node *n, const struct jj_val *v, struct jj_val *out);
int jj_set(struct jj_exec *x, uint32_t sym, const struct jj_val *v);
int jj_call_macro(struct jj_exec *x, struct jj_macro *m, const struct jj_args *a, struct jj_val *out);
int jj_call_loop(struct jj_exec *x, struct jj_loop *l, const struct jj_args *a, struct jj_val *out);
int jj_exec(struct jj_exec *x, const struct jj_node *n);                                               /* 1: break, 2: continue */
int jj_eval_args(struct jj_exec *x, const struct jj_call *c, struct jj_args *a);

struct jj_val *jj_lookup(struct jj_exec *x, uint32_t sym);                                             /* NULL: not there */
int jj_make_undef(struct jj_exec *x, struct jj_val *out, const struct jj_val *obj, const struct jj_val *name, const char *hint);

/* Symbols that every template has. */
enum { JS_LOOP, JS_CALLER, JS_VARARGS, JS_KWARGS };

/* by name; NULL: none */
const struct jj_builtin *jj_find_filter(const char *name);
const struct jj_builtin *jj_find_filter_list(const char *name);
const struct jj_builtin *jj_find_filter_text(const char *name);
const struct jj_builtin *jj_find_test(const char *name);
const struct jj_builtin *jj_find_func(const char *name);
const struct jj_builtin *jj_find_method(const struct jj_val *v, const char *name);
const struct jj_builtin *jj_find_str_method(const char *name);
const struct jj_builtin *jj_find_builtin(const struct jj_builtin *list, size_t n, const char *name);   /* a sorted list */
bool jj_forbidden(const struct jj_val *v, const char *name);                                           /* a method that changes its object */

/* jinja_format.c */
int jj_percent(struct jj_exec *x, const struct jj_val *format, const struct jj_val *arg, struct jj_val *out);
int jj_format(struct jj_exec *x, const struct jj_val *format, const struct jj_args *a, struct jj_val *out);

/* jinja_string.c: what strings can do */
enum jj_case { JJ_UPPER, JJ_LOWER, JJ_SWAP };
size_t jj_space_at(const char *s, size_t n);                                                           /* bytes of white space there */
struct jj_val jj_strip(const struct jj_val *s, const struct jj_val *chars, bool left, bool right);     /* chars NULL: white space */
int jj_replace(struct jj_exec *x, const struct jj_val *s, const struct jj_val *old, const struct jj_val *new, int64_t count, struct jj_val *out);
int jj_change_case(struct jj_exec *x, const struct jj_val *s, enum jj_case how, struct jj_val *out);
int jj_title(struct jj_exec *x, const struct jj_val *s, bool words, struct jj_val *out);               /* every word, as str.title; else the first letter */
int jj_join(struct jj_exec *x, const struct jj_val *sep, const struct jj_val *list, struct jj_val *out); /* of strings */
size_t jj_find(const struct jj_val *s, const struct jj_val *what, size_t from, size_t to);             /* SIZE_MAX: not there */
int jj_pad(struct jj_exec *x, const struct jj_val *s, size_t left, size_t right, const struct jj_val *fill, struct jj_val *out);
bool jj_printable(uint32_t c);

#endif
