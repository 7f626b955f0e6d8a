#include "onnx/regex.h"
#include <string.h>

/* The program is a list of nodes; what succeeds goes on with the next one, unless it jumps. */
enum {
    NODE_RANGE, /* a letter in [a, b]; the next node follows it in memory */
    NODE_CLASS, /* a letter in one of the RANGEs that follow (b of them; flags: NEGATED); then the next node */
    NODE_SPLIT, /* both a and b */
    NODE_JUMP,  /* a */
    NODE_CHECK, /* go on to a, if what flags names holds here */
    NODE_MATCH
};
enum { NEGATED = 1, FOLD = 2 };
enum { CHECK_BEGIN = 1, CHECK_END, CHECK_LINE_BEGIN, CHECK_LINE_END, CHECK_WORD, CHECK_NOT_WORD };
enum { FLAG_I = 1, FLAG_M = 2, FLAG_S = 4 };

#define LAST_LETTER 0x10ffffu
#define MAX_DEPTH   200
#define MAX_REPEATS 1000

const char regex_too_large[] = "it is too large";

typedef struct parser {
    const unsigned char *at, *end;
    regex *out;
    const char *error;
    unsigned flags;
    int depth;
    bool quoted; /* inside \Q...\E */
} parser;

static void fail(parser *p, const char *error)
{
    if (!p->error)
        p->error = error;
}

/* ---- Letters */

static uint32_t read_letter(const unsigned char **at, const unsigned char *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = *at;
    int width = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    uint32_t c = width == 1 ? s[0] : width == 2 ? s[0] & 0x1f : width == 3 ? s[0] & 0x0f : s[0] & 0x07;
    if (width == 0 || s[0] > 0xf4 || end - s < width) {
        ++*at;
        return 0xfffd;
    }
    for (int i = 1; i < width; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            ++*at;
            return 0xfffd;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[width] || c > LAST_LETTER || (c >= 0xd800 && c < 0xe000)) {
        ++*at;
        return 0xfffd;
    }
    *at += width;
    return c;
}

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* The other case of an ASCII letter, or the letter itself. */
static uint32_t other_case(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? c ^ 0x20 : c;
}

/* ---- Building. A fragment is nodes [begin, end); falling off its end is its success. */

static uint32_t emit(parser *p, int kind, unsigned flags, uint32_t a, uint32_t b)
{
    regex *out = p->out;
    if (out->count >= out->capacity || out->count >= REGEX_MAX_NODES) {
        fail(p, regex_too_large);
        return 0;
    }
    out->nodes[out->count] = (regex_node){(uint8_t)kind, (uint8_t)flags, a, b};
    return (uint32_t)out->count++;
}

/* Makes room for one node at `where`; targets behind it move along. */
static void insert(parser *p, size_t where)
{
    regex *out = p->out;
    emit(p, NODE_JUMP, 0, 0, 0);
    if (p->error)
        return;
    memmove(out->nodes + where + 1, out->nodes + where, (out->count - 1 - where) * sizeof out->nodes[0]);
    for (size_t i = where + 1; i < out->count; i++) {
        regex_node *node = &out->nodes[i];
        if (node->kind == NODE_SPLIT || node->kind == NODE_JUMP || node->kind == NODE_CHECK)
            node->a += node->a >= where;
        if (node->kind == NODE_SPLIT)
            node->b += node->b >= where;
    }
}

/* Appends a copy of nodes [begin, end), which only point into [begin, end]. */
static void repeat(parser *p, size_t begin, size_t end)
{
    uint32_t shift = (uint32_t)(p->out->count - begin);
    for (size_t i = begin; i < end && !p->error; i++) {
        regex_node node = p->out->nodes[i];
        bool jumps = node.kind == NODE_SPLIT || node.kind == NODE_JUMP || node.kind == NODE_CHECK;
        emit(p, node.kind, node.flags, node.a + (jumps ? shift : 0), node.b + (node.kind == NODE_SPLIT ? shift : 0));
    }
}

/* ---- Classes */

typedef struct named_class {
    const char *name;
    uint8_t count;
    unsigned char ranges[8];
} named_class;

static const named_class named_classes[] = {
    {"alnum", 3, {'0', '9', 'A', 'Z', 'a', 'z'}},
    {"alpha", 2, {'A', 'Z', 'a', 'z'}},
    {"ascii", 1, {0, 127}},
    {"blank", 2, {' ', ' ', '\t', '\t'}},
    {"cntrl", 2, {0, 31, 127, 127}},
    {"digit", 1, {'0', '9'}},
    {"graph", 1, {'!', '~'}},
    {"lower", 1, {'a', 'z'}},
    {"print", 1, {' ', '~'}},
    {"punct", 4, {'!', '/', ':', '@', '[', '`', '{', '~'}},
    {"space", 2, {' ', ' ', '\t', '\r'}},
    {"upper", 1, {'A', 'Z'}},
    {"word", 4, {'0', '9', 'A', 'Z', 'a', 'z', '_', '_'}},
    {"xdigit", 3, {'0', '9', 'A', 'F', 'a', 'f'}},
    /* What \s means: without the vertical tab. */
    {"\\s", 3, {' ', ' ', '\t', '\n', '\f', '\r'}},
};

static const named_class *find_class(const char *name, size_t size)
{
    for (size_t k = 0; k < sizeof named_classes / sizeof named_classes[0]; k++)
        if (strlen(named_classes[k].name) == size && memcmp(named_classes[k].name, name, size) == 0)
            return &named_classes[k];
    return NULL;
}

static const named_class *escaped_class(unsigned char c)
{
    return c == 'd' || c == 'D'   ? find_class("digit", 5)
           : c == 'w' || c == 'W' ? find_class("word", 4)
           : c == 's' || c == 'S' ? find_class("\\s", 2)
                                  : NULL;
}

/* The ranges of a named class, or of what it leaves out, into the class under construction. */
static void add_class(parser *p, const named_class *named, bool negated)
{
    if (!negated) {
        for (int k = 0; k < named->count; k++)
            emit(p, NODE_RANGE, 0, named->ranges[2 * k], named->ranges[2 * k + 1]);
        return;
    }
    /* Letter by letter below 128; everything above is outside of all of them. */
    for (uint32_t c = 0; c < 128; c++) {
        bool inside = false;
        for (int k = 0; k < named->count; k++)
            inside = inside || (c >= named->ranges[2 * k] && c <= named->ranges[2 * k + 1]);
        if (!inside)
            emit(p, NODE_RANGE, 0, c, c);
    }
    emit(p, NODE_RANGE, 0, 128, LAST_LETTER);
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t hex_letter(parser *p)
{
    uint32_t c = 0;
    if (p->at < p->end && *p->at == '{') {
        int digits = 0;
        for (p->at++; p->at < p->end && hex_digit(*p->at) >= 0 && c <= LAST_LETTER; digits++)
            c = c * 16 + (uint32_t)hex_digit(*p->at++);
        if (digits == 0 || c > LAST_LETTER || p->at == p->end || *p->at++ != '}')
            fail(p, "it has a bad \\x{...}");
        return c;
    }
    for (int k = 0; k < 2; k++) {
        if (p->at == p->end || hex_digit(*p->at) < 0) {
            fail(p, "it has a bad \\x");
            return 0;
        }
        c = c * 16 + (uint32_t)hex_digit(*p->at++);
    }
    return c;
}

/* A letter behind a backslash. */
static uint32_t escaped_letter(parser *p)
{
    static const char names[] = "tnrfva", letters[] = "\t\n\r\f\v\a";
    if (p->at == p->end) {
        fail(p, "it ends in a backslash");
        return 0;
    }
    unsigned char c = *p->at;
    const char *known = c ? strchr(names, c) : NULL;
    if (known) {
        p->at++;
        return (unsigned char)letters[known - names];
    }
    if (c == 'x') {
        p->at++;
        return hex_letter(p);
    }
    if (c >= '0' && c <= '7') {
        uint32_t value = 0;
        /* \1 to \9 alone would be references back, which there are none of. */
        bool octal = c == '0' || (p->end - p->at > 1 && p->at[1] >= '0' && p->at[1] <= '7');
        for (int k = 0; octal && k < 3 && p->at < p->end && *p->at >= '0' && *p->at <= '7'; k++)
            value = value * 8 + (uint32_t)(*p->at++ - '0');
        if (!octal)
            fail(p, "it refers back to a group, which is not supported");
        return value;
    }
    if (is_word(c) || c >= 0x80) {
        fail(p, c == 'p' || c == 'P' ? "it has a class of Unicode letters (\\p), which is not supported"
                                     : "it has an unknown escape");
        return 0;
    }
    p->at++;
    return c;
}

static uint32_t class_letter(parser *p)
{
    if (*p->at != '\\')
        return read_letter(&p->at, p->end);
    p->at++;
    return escaped_letter(p);
}

/* One [:name:], \d or the like inside brackets; false if there is none here. */
static bool class_item(parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '[' && p->at[1] == ':') {
        const unsigned char *begin = p->at + 2, *stop = begin;
        while (p->end - stop >= 2 && !(stop[0] == ':' && stop[1] == ']'))
            stop++;
        bool negated = begin < stop && *begin == '^';
        begin += negated;
        const named_class *named = p->end - stop >= 2 ? find_class((const char *)begin, (size_t)(stop - begin)) : NULL;
        if (!named) {
            fail(p, "it has an unknown [:class:]");
            return true;
        }
        p->at = stop + 2;
        add_class(p, named, negated);
        return true;
    }
    const named_class *named = p->end - p->at >= 2 && *p->at == '\\' ? escaped_class(p->at[1]) : NULL;
    if (named) {
        bool negated = p->at[1] < 'a';
        p->at += 2;
        add_class(p, named, negated);
    }
    return named != NULL;
}

static void parse_class(parser *p)
{
    bool negated = p->at < p->end && *p->at == '^', first = true;
    p->at += negated;
    unsigned flags = (negated ? NEGATED : 0u) | (p->flags & FLAG_I ? FOLD : 0u);
    uint32_t node = emit(p, NODE_CLASS, flags, 0, 0);
    while (!p->error && p->at < p->end && (*p->at != ']' || first)) {
        first = false;
        if (class_item(p))
            continue;
        uint32_t low = class_letter(p), high = low;
        if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            high = class_letter(p);
        }
        if (high < low)
            fail(p, "it has a range that runs backwards");
        emit(p, NODE_RANGE, 0, low, high);
    }
    if (p->at == p->end)
        fail(p, "it has a [ without its ]");
    if (p->error)
        return;
    p->at++;
    p->out->nodes[node].b = (uint32_t)(p->out->count - node - 1);
}

static void emit_named(parser *p, const named_class *named, bool negated)
{
    emit(p, NODE_CLASS, negated ? NEGATED : 0, 0, named->count);
    add_class(p, named, false);
}

static void emit_check(parser *p, unsigned check)
{
    uint32_t node = emit(p, NODE_CHECK, check, 0, 0);
    if (!p->error)
        p->out->nodes[node].a = node + 1;
}

static void emit_letter(parser *p, uint32_t c)
{
    if ((p->flags & FLAG_I) && other_case(c) != c) {
        emit(p, NODE_CLASS, FOLD, 0, 1);
        emit(p, NODE_RANGE, 0, c, c);
    } else {
        emit(p, NODE_RANGE, 0, c, c);
    }
}

/* ---- Grammar */

static void parse_either(parser *p);

/* The flags of (?flags) or (?flags: ; leaves `at` behind them. */
static void parse_flags(parser *p)
{
    bool on = true;
    for (; p->at < p->end && *p->at != ')' && *p->at != ':'; p->at++) {
        unsigned flag = *p->at == 'i' ? FLAG_I : *p->at == 'm' ? FLAG_M : *p->at == 's' ? FLAG_S : 0;
        if (*p->at == '-')
            on = false;
        else if (flag)
            p->flags = on ? p->flags | flag : p->flags & ~flag;
        else if (*p->at != 'U')
            fail(p, "it has an unknown kind of group");
    }
}

static void parse_group(parser *p)
{
    unsigned outer = p->flags;
    if (p->at < p->end && *p->at == '?') {
        p->at++;
        bool named = (p->end - p->at >= 2 && p->at[0] == 'P' && p->at[1] == '<') ||
                     (p->end - p->at >= 2 && p->at[0] == '<' && p->at[1] != '=' && p->at[1] != '!');
        if (named) {
            while (p->at < p->end && *p->at != '>')
                p->at++;
        } else {
            parse_flags(p);
            if (p->at < p->end && *p->at == ')') { /* (?i): for the rest of the group around */
                p->at++;
                return;
            }
        }
        if (p->at < p->end)
            p->at++;
    }
    if (++p->depth > MAX_DEPTH)
        fail(p, "its groups are nested too deeply");
    else
        parse_either(p);
    p->depth--;
    if (p->at == p->end || *p->at != ')')
        fail(p, "it has a ( without its )");
    else
        p->at++;
    p->flags = outer;
}

static void parse_escape(parser *p)
{
    const named_class *named = p->at < p->end ? escaped_class(*p->at) : NULL;
    unsigned char c = p->at < p->end ? *p->at : 0;
    unsigned check = c == 'A'   ? CHECK_BEGIN
                     : c == 'z' ? CHECK_END
                     : c == 'b' ? CHECK_WORD
                     : c == 'B' ? CHECK_NOT_WORD
                                : 0;
    if (named) {
        p->at++;
        emit_named(p, named, c < 'a');
    } else if (check) {
        p->at++;
        emit_check(p, check);
    } else if (c == 'Q') {
        p->at++;
        p->quoted = true;
    } else if (c == 'E') {
        p->at++;
    } else {
        emit_letter(p, escaped_letter(p));
    }
}

static void parse_quoted(parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '\\' && p->at[1] == 'E') {
        p->at += 2;
        p->quoted = false;
    } else {
        emit_letter(p, read_letter(&p->at, p->end));
        /* What follows \E repeats this letter. */
        if (p->end - p->at >= 2 && p->at[0] == '\\' && p->at[1] == 'E') {
            p->at += 2;
            p->quoted = false;
        }
    }
}

static void parse_atom(parser *p)
{
    if (p->quoted) {
        parse_quoted(p);
        return;
    }
    switch (*p->at) {
    case '(':
        p->at++;
        parse_group(p);
        break;
    case '[':
        p->at++;
        parse_class(p);
        break;
    case '\\':
        p->at++;
        parse_escape(p);
        break;
    case '.':
        p->at++;
        if (p->flags & FLAG_S) {
            emit(p, NODE_RANGE, 0, 0, LAST_LETTER);
        } else {
            emit(p, NODE_CLASS, NEGATED, 0, 1);
            emit(p, NODE_RANGE, 0, '\n', '\n');
        }
        break;
    case '^':
        p->at++;
        emit_check(p, p->flags & FLAG_M ? CHECK_LINE_BEGIN : CHECK_BEGIN);
        break;
    case '$':
        p->at++;
        emit_check(p, p->flags & FLAG_M ? CHECK_LINE_END : CHECK_END);
        break;
    case '*':
    case '+':
    case '?':
        fail(p, "it repeats nothing");
        break;
    default:
        emit_letter(p, read_letter(&p->at, p->end));
        break;
    }
}

/* {n}, {n,} or {n,m}: *most is -1 for no limit. False, and nothing read: the brace is a letter. */
static bool parse_counts(parser *p, int *least, int *most)
{
    const unsigned char *s = p->at + 1;
    int counts[2] = {0, -1}, k = 0, digits = 0;
    for (; s < p->end && *s != '}'; s++) {
        if (*s == ',' && k == 0 && digits > 0) {
            k = 1;
            digits = 0;
        } else if (*s >= '0' && *s <= '9') {
            int value = (counts[k] < 0 ? 0 : counts[k]) * 10 + (*s - '0');
            counts[k] = value > MAX_REPEATS ? MAX_REPEATS + 1 : value;
            digits++;
        } else {
            return false;
        }
    }
    if (s == p->end || (k == 0 && digits == 0))
        return false;
    p->at = s + 1;
    *least = counts[0];
    *most = k == 0 ? counts[0] : counts[1];
    if (*least > MAX_REPEATS || *most > MAX_REPEATS || (*most >= 0 && *most < *least))
        fail(p, "it has a bad {count}");
    return true;
}

/* Lets the fragment from `begin` to the end be left out. */
static void make_optional(parser *p, size_t begin)
{
    insert(p, begin);
    if (p->error)
        return;
    p->out->nodes[begin] = (regex_node){NODE_SPLIT, 0, (uint32_t)begin + 1, (uint32_t)p->out->count};
}

/* Lets it be repeated: behind it, back to its beginning. */
static void make_loop(parser *p, size_t begin)
{
    uint32_t node = emit(p, NODE_SPLIT, 0, (uint32_t)begin, 0);
    if (!p->error)
        p->out->nodes[node].b = node + 1;
}

static void apply_counts(parser *p, size_t begin, int least, int most)
{
    size_t end = p->out->count;
    if (most == 0) {
        p->out->count = begin;
        return;
    }
    if (least == 0 && most < 0) {
        make_loop(p, begin);
        make_optional(p, begin);
        return;
    }
    for (int k = 1; k < least && !p->error; k++)
        repeat(p, begin, end);
    if (most < 0) {
        make_loop(p, p->out->count - (end - begin));
        return;
    }
    /* The optional copies stand behind each other, each with its own way past it. */
    int optional = most - (least > 0 ? least : 1);
    if (least == 0)
        make_optional(p, begin);
    size_t plain = begin + (least == 0);
    for (int k = 0; k < optional && !p->error; k++) {
        size_t copy = p->out->count;
        repeat(p, plain, plain + (end - begin));
        make_optional(p, copy);
    }
}

static void parse_repeats(parser *p, size_t begin)
{
    for (int times = 0; !p->error && !p->quoted && p->at < p->end; times++) {
        int least = 0, most = -1;
        if (*p->at == '{') {
            if (!parse_counts(p, &least, &most))
                return;
        } else if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
            least = *p->at == '+';
            most = *p->at == '?' ? 1 : -1;
            p->at++;
        } else {
            return;
        }
        if (p->at < p->end && *p->at == '?') /* lazy: for whole matches the same */
            p->at++;
        if (times > 0)
            fail(p, "it repeats a repetition");
        if (!p->error)
            apply_counts(p, begin, least, most);
    }
}

static void parse_sequence(parser *p)
{
    while (!p->error && p->at < p->end && (p->quoted || (*p->at != '|' && *p->at != ')'))) {
        size_t begin = p->out->count;
        parse_atom(p);
        parse_repeats(p, begin);
    }
}

static void parse_either(parser *p)
{
    const uint32_t none = UINT32_MAX;
    size_t begin = p->out->count;
    uint32_t jumps = none; /* those to the end, chained through b until the end is known */
    parse_sequence(p);
    while (!p->error && p->at < p->end && *p->at == '|') {
        p->at++;
        /* SPLIT left, right; left; JUMP to the end; right, which may be split in turn */
        insert(p, begin);
        uint32_t jump = emit(p, NODE_JUMP, 0, 0, jumps);
        if (p->error)
            return;
        p->out->nodes[begin] = (regex_node){NODE_SPLIT, 0, (uint32_t)begin + 1, jump + 1};
        jumps = jump;
        begin = p->out->count;
        parse_sequence(p);
    }
    while (!p->error && jumps != none) {
        regex_node *jump = &p->out->nodes[jumps];
        jumps = jump->b;
        *jump = (regex_node){NODE_JUMP, 0, (uint32_t)p->out->count, 0};
    }
}

const char *regex_compile(regex *program, const char *pattern, size_t size, regex_node *nodes, size_t capacity)
{
    const unsigned char *text = (const unsigned char *)(pattern ? pattern : "");
    *program = (regex){.nodes = nodes, .capacity = capacity};
    parser p = {.at = text, .end = text + size, .out = program};
    parse_either(&p);
    if (!p.error && p.at < p.end)
        fail(&p, "it has a ) without its (");
    emit(&p, NODE_MATCH, 0, 0, 0);
    return p.error;
}

/* ---- Matching */

/* A set of nodes: `sparse` says where in `dense` each stands, if it does. */
typedef struct node_set {
    uint32_t *dense, *sparse;
    uint32_t count;
} node_set;

typedef struct position {
    bool begin, end;
    uint32_t before, after; /* letters, where there are any */
} position;

size_t regex_match_bytes(const regex *program)
{
    return 5 * program->count * sizeof(uint32_t) + 64;
}

static bool holds(unsigned check, const position *here)
{
    bool word = (!here->begin && is_word(here->before)) != (!here->end && is_word(here->after));
    switch (check) {
    case CHECK_BEGIN:
        return here->begin;
    case CHECK_END:
        return here->end;
    case CHECK_LINE_BEGIN:
        return here->begin || here->before == '\n';
    case CHECK_LINE_END:
        return here->end || here->after == '\n';
    case CHECK_WORD:
        return word;
    default:
        return !word;
    }
}

/* Adds a node and all that can be reached from it without a letter. */
static void add_node(const regex *program, node_set *set, uint32_t *stack, uint32_t node, const position *here)
{
    size_t depth = 0;
    stack[depth++] = node;
    while (depth > 0) {
        uint32_t n = stack[--depth];
        if (set->sparse[n] < set->count && set->dense[set->sparse[n]] == n)
            continue;
        set->sparse[n] = set->count;
        set->dense[set->count++] = n;
        const regex_node *at = &program->nodes[n];
        /* Every node enters once and leaves at most one more on the stack than it took: room for all is enough. */
        if (at->kind == NODE_SPLIT) {
            stack[depth++] = at->b;
            stack[depth++] = at->a;
        } else if (at->kind == NODE_JUMP || (at->kind == NODE_CHECK && holds(at->flags, here))) {
            stack[depth++] = at->a;
        }
    }
}

static bool in_ranges(const regex_node *class, uint32_t c)
{
    for (uint32_t k = 1; k <= class->b; k++)
        if (c >= class[k].a && c <= class[k].b)
            return true;
    return false;
}

/* Whether a node takes a letter; *next is where it goes on. */
static bool takes(const regex *program, uint32_t n, uint32_t c, uint32_t *next)
{
    const regex_node *node = &program->nodes[n];
    if (node->kind == NODE_RANGE) {
        *next = n + 1;
        return c >= node->a && c <= node->b;
    }
    if (node->kind != NODE_CLASS)
        return false;
    *next = n + 1 + node->b;
    bool inside = in_ranges(node, c) || ((node->flags & FOLD) && in_ranges(node, other_case(c)));
    return inside != ((node->flags & NEGATED) != 0);
}

bool regex_match(const regex *program, const char *text, size_t size, void *memory)
{
    const unsigned char *at = (const unsigned char *)(size > 0 ? text : ""), *end = at + size;
    size_t count = program->count;
    uint32_t *words = memory;
    node_set now = {words, words + count, 0}, then = {words + 2 * count, words + 3 * count, 0};
    uint32_t *stack = words + 4 * count;
    position here = {.begin = true, .end = size == 0};
    memset(memory, 0, regex_match_bytes(program));
    const unsigned char *peek = at;
    here.after = size > 0 ? read_letter(&peek, end) : 0;
    add_node(program, &now, stack, program->start, &here);
    while (!here.end && now.count > 0) {
        uint32_t c = read_letter(&at, end), next;
        peek = at;
        here = (position){.end = at == end, .before = c, .after = at < end ? read_letter(&peek, end) : 0};
        then.count = 0;
        for (uint32_t i = 0; i < now.count; i++)
            if (takes(program, now.dense[i], c, &next))
                add_node(program, &then, stack, next, &here);
        node_set swap = now;
        now = then;
        then = swap;
    }
    for (uint32_t i = 0; here.end && i < now.count; i++)
        if (program->nodes[now.dense[i]].kind == NODE_MATCH)
            return true;
    return false;
}
