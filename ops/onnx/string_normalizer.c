/* StringNormalizer: takes out stop words, and changes case. */
#include <stdlib.h>
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_STRING, 0)};
static const tl_param outs[] = {OP_IN("Y", OP_T_STRING, 0)};
static const tl_attribute_spec attrs[] = {OP_STRING("case_change_action", "NONE"),
                                          OP_INT("is_case_sensitive", 0),
                                          OP_STRING("locale", ""),
                                          {.name = "stopwords", .kind = TL_ATTR_STRINGS}};

/* ---- Case, for the scripts whose letters have the same number of UTF-8 bytes in both: Latin, Greek, Cyrillic,
 * Armenian. What is no such letter, or no UTF-8, stays as it is; so does the locale's choice, which has no say here. */

static uint32_t lower_of(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f))
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    if (c >= 0x531 && c <= 0x556)
        return c + 48;
    if (c == 0x178)
        return 0xff;
    bool even = (c >= 0x100 && c <= 0x12e) || (c >= 0x132 && c <= 0x136) || (c >= 0x14a && c <= 0x176) ||
                (c >= 0x460 && c <= 0x480) || (c >= 0x48a && c <= 0x4be) || (c >= 0x4d0 && c <= 0x52e) ||
                (c >= 0x1e00 && c <= 0x1e94) || (c >= 0x1ea0 && c <= 0x1efe);
    bool odd = (c >= 0x139 && c <= 0x147) || (c >= 0x179 && c <= 0x17d) || (c >= 0x4c1 && c <= 0x4cd);
    return (even && c % 2 == 0) || (odd && c % 2 == 1) ? c + 1 : c;
}

static uint32_t upper_of(uint32_t c)
{
    static const uint8_t distances[] = {32, 80, 48, 1};
    if (c == 0xff)
        return 0x178;
    for (size_t k = 0; k < sizeof distances; k++)
        if (c > distances[k] && lower_of(c - distances[k]) == c)
            return c - distances[k];
    return c;
}

/* Reads one letter of up to 3 bytes; returns how many, and *c is 0 where they are none that has case. */
static size_t read_letter(const unsigned char *at, size_t left, uint32_t *c)
{
    *c = 0;
    if (at[0] < 0x80) {
        *c = at[0];
        return 1;
    }
    if (at[0] >= 0xc2 && at[0] < 0xe0 && left >= 2 && (at[1] & 0xc0) == 0x80) {
        *c = (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
        return 2;
    }
    if (at[0] == 0xe1 && left >= 3 && (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80) {
        *c = 0x1000 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
        return 3;
    }
    return 1;
}

typedef enum case_action { CASE_NONE, CASE_LOWER, CASE_UPPER } case_action;

/* Writes one letter in its new case, as many bytes as it had, and returns how many. */
static size_t put_letter(case_action action, const unsigned char *from, size_t left, char *to)
{
    uint32_t c;
    const size_t width = read_letter(from, left, &c);
    const uint32_t changed = action == CASE_LOWER ? lower_of(c) : upper_of(c);
    if (c == 0 || changed == c) {
        memcpy(to, from, width);
    } else if (width == 1) {
        to[0] = (char)changed;
    } else if (width == 2) {
        to[0] = (char)(0xc0 | changed >> 6);
        to[1] = (char)(0x80 | (changed & 0x3f));
    } else {
        to[0] = (char)0xe1;
        to[1] = (char)(0x80 | (changed >> 6 & 0x3f));
        to[2] = (char)(0x80 | (changed & 0x3f));
    }
    return width;
}

static void change_case(case_action action, const tl_string *text, char *to)
{
    const unsigned char *from = (const unsigned char *)text->data;
    for (size_t i = 0; i < text->size;)
        i += put_letter(action, from + i, text->size - i, to + i);
}

/* ---- Stop words, sorted, in lower case where case does not matter */

typedef struct stopwords {
    bool sensitive;
    size_t count;
    tl_string words[]; /* and behind them the bytes of those in lower case */
} stopwords;

static int compare_words(const void *a, const void *b)
{
    return op_compare_strings(a, b);
}

/* A stop word with a text as it would be in lower case. */
static int compare_lower(const tl_string *word, const tl_string *text)
{
    for (size_t i = 0; i < text->size;) {
        char letter[3];
        const size_t width = put_letter(CASE_LOWER, (const unsigned char *)text->data + i, text->size - i, letter);
        const size_t left = word->size - i;
        const int order = left > 0 ? memcmp(word->data + i, letter, left < width ? left : width) : 0;
        if (order != 0 || left < width)
            return order != 0 ? order : -1;
        i += width;
    }
    return word->size > text->size;
}

static bool is_stopword(const stopwords *stop, const tl_string *text)
{
    size_t low = 0, high = stop->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const tl_string *word = &stop->words[middle];
        const int order = stop->sensitive ? op_compare_strings(word, text) : compare_lower(word, text);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static tl_status normalizer_create(tl_call *call)
{
    size_t count;
    const tl_string *given = call->host->attribute_strings(call->node, "stopwords", &count);
    size_t size = sizeof(stopwords) + count * sizeof *given; /* no more than a few times the file's, which holds them */
    for (size_t k = 0; k < count; k++)
        size += given[k].size;
    stopwords *stop = call->host->alloc(call->host, size, 64);
    if (!stop)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu stop words", count);
    *stop = (stopwords){.sensitive = op_int(call, "is_case_sensitive") != 0, .count = count};
    char *bytes = (char *)&stop->words[count];
    for (size_t k = 0; k < count; k++) {
        stop->words[k] = given[k];
        if (stop->sensitive || given[k].size == 0)
            continue;
        change_case(CASE_LOWER, &given[k], bytes);
        stop->words[k].data = bytes;
        bytes += given[k].size;
    }
    qsort(stop->words, count, sizeof stop->words[0], compare_words);
    call->state = stop;
    return TL_OK;
}

/* ---- The operator */

static tl_status read_action(const tl_call *call, case_action *action)
{
    int which = CASE_NONE;
    const tl_status status = op_word(call, "case_change_action", "NONE LOWER UPPER", &which);
    *action = (case_action)which;
    return status;
}

static tl_status normalizer_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    case_action action;
    tl_status status = read_action(call, &action);
    op_copy_shape(y, x);
    if (status || x->rank == TL_RANK_UNKNOWN)
        return status;
    if (x->rank != 1 && (x->rank != 2 || (x->dims[0] >= 0 && x->dims[0] != 1)))
        return tl_fail(call, TL_INVALID_INPUT, "the input must be [C] or [1, C]");
    if (y->rank == 2)
        y->dims[0] = 1;
    y->dims[y->rank - 1] = TL_DIM_UNKNOWN;
    return TL_OK;
}

static tl_status normalizer_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const tl_string *text = x->data;
    const stopwords *stop = call->state;
    int64_t n = op_elements(x), kept = 0;
    case_action action;
    tl_status status = read_action(call, &action);
    if (status)
        return status;
    for (int64_t i = 0; i < n; i++)
        kept += !is_stopword(stop, &text[i]);
    /* Where nothing is left the result is one empty string. */
    int64_t dims[2] = {1, 1};
    dims[x->rank - 1] = kept > 0 ? kept : 1;
    tl_string *to = call->host->output(call, 0, x->rank, dims);
    if (!to)
        return TL_NO_MEMORY;
    if (kept == 0)
        *to = (tl_string){"", 0};
    for (int64_t i = 0; i < n && kept > 0; i++) {
        if (is_stopword(stop, &text[i]))
            continue;
        *to = text[i];
        if (action != CASE_NONE && to->size > 0) {
            char *bytes = call->host->string(call, to->size);
            if (!bytes)
                return TL_NO_MEMORY;
            change_case(action, &text[i], bytes);
            to->data = bytes;
        }
        to++;
    }
    return TL_OK;
}

OP_DESCRIPTOR(StringNormalizer, 10) = {
    OP_HEAD(StringNormalizer, 10), OP_PARAMS(input, ins),         OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs),
    .create = normalizer_create,   .reshape = normalizer_reshape, .run = normalizer_run,   .destroy = op_free_state};
