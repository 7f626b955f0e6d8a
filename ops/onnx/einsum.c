/* Einsum: operands are contracted one after the other, each time as a batch of matrix products.
 *
 * Every axis has a label: the equation's letters, and numbers for the axes that an ellipsis stands for, counted from
 * the right. A label is dropped (summed over) as soon as no later operand and not the output has it. */
#include "onnx/einsum.h"
#include "onnx/number.h"

#define EINSUM_TYPES (TL_T_FLOATS | TL_T_INTEGERS)
static const tl_param ins[] = {OP_VAR("Inputs", EINSUM_TYPES, 'T')};
static const tl_param outs[] = {OP_IN("Output", EINSUM_TYPES, 'T')};
static const tl_attribute_spec attrs[] = {{.name = "equation", .kind = TL_ATTR_STRING, .flags = TL_ATTR_REQUIRED}};

static int letter_label(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

/* ---- The equation */

/* One term up to a comma, an arrow or the end; `ellipsis` is where the dots stand, -1: nowhere. */
typedef struct einsum_text {
    int8_t letters[EINSUM_MAX_RANK];
    int count, ellipsis;
} einsum_text;

static tl_status read_text(const tl_call *call, const char **at, einsum_text *text)
{
    *text = (einsum_text){.ellipsis = -1};
    for (;; ++*at) {
        char c = **at;
        if (c == ' ')
            continue;
        if (c == '.') {
            if (text->ellipsis >= 0 || (*at)[1] != '.' || (*at)[2] != '.')
                return tl_fail(call, TL_INVALID_MODEL, "a term has dots that are not one ellipsis");
            text->ellipsis = text->count;
            *at += 2;
            continue;
        }
        if (letter_label(c) < 0)
            return TL_OK;
        if (text->count == EINSUM_MAX_RANK)
            return tl_fail(call, TL_UNSUPPORTED, "a term has more than %d letters", EINSUM_MAX_RANK);
        text->letters[text->count++] = (int8_t)letter_label(c);
    }
}

/* Labels of a term whose ellipsis stands for `dots` axes. */
static tl_status label_term(const tl_call *call, const einsum_text *text, int dots, einsum_term *term)
{
    term->rank = 0;
    if (text->count + (text->ellipsis >= 0 ? dots : 0) > EINSUM_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "a term has more than %d axes", EINSUM_MAX_RANK);
    for (int i = 0; i <= text->count; i++) {
        if (i == text->ellipsis)
            for (int k = dots; k > 0; k--)
                term->labels[term->rank++] = (int8_t)(EINSUM_LETTERS + k - 1);
        if (i < text->count)
            term->labels[term->rank++] = text->letters[i];
    }
    return TL_OK;
}

/* Without an arrow: the ellipsis, then what stands once, in order of the letters. */
static void implicit_output(const int *uses, bool dots, einsum_text *text)
{
    *text = (einsum_text){.ellipsis = dots ? 0 : -1};
    for (int label = 0; label < EINSUM_LETTERS; label++)
        if (uses[label] == 1 && text->count < EINSUM_MAX_RANK)
            text->letters[text->count++] = (int8_t)label;
}

/* Takes an operand's dimensions as the sizes of its labels; 1 gives way, and what is not known to a number above 1. */
static tl_status take_sizes(const tl_call *call, size_t k, const einsum_term *term, tl_dim *sizes)
{
    const tl_tensor *in = call->inputs[k];
    for (int i = 0; i < term->rank; i++) {
        tl_dim *size = &sizes[term->labels[i]], dim = in->dims[i];
        if (*size == EINSUM_NO_SIZE || *size == 1 || (*size < 0 && dim > 1))
            *size = dim;
        else if (*size < 0 && dim < 0 && *size != dim)
            *size = TL_DIM_UNKNOWN; /* one of them may be 1 */
        else if (dim >= 0 && dim != 1 && *size >= 0 && *size != dim)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of input %zu is %lld, but the same letter has %lld", i,
                           k, (long long)dim, (long long)*size);
    }
    return TL_OK;
}

static tl_status read_operands(const tl_call *call, const char **at, einsum_plan *plan, int *uses, bool *dots)
{
    einsum_text texts[EINSUM_MAX_OPERANDS];
    tl_status status = TL_OK;
    size_t count = call->input_count;
    int most = 0;
    if (count > EINSUM_MAX_OPERANDS)
        return tl_fail(call, TL_UNSUPPORTED, "%zu inputs, but at most %d are supported", count, EINSUM_MAX_OPERANDS);
    plan->count = (int)count;
    for (size_t k = 0; k < count; k++) {
        const tl_tensor *in = call->inputs[k];
        status = read_text(call, at, &texts[k]);
        if (status)
            return status;
        if (k + 1 < count && *(*at)++ != ',')
            return tl_fail(call, TL_INVALID_MODEL, "equation has %zu terms for %zu inputs", k + 1, count);
        int more = in->rank - texts[k].count;
        if (in->rank == TL_RANK_UNKNOWN) {
            plan->unknown = true;
            continue;
        }
        if (more < 0 || (more > 0 && texts[k].ellipsis < 0))
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, but its term has %d letters", k, in->rank,
                           texts[k].count);
        most = more > most ? more : most;
    }
    plan->dots = most;
    for (size_t k = 0; !status && k < count; k++) {
        for (int i = 0; i < texts[k].count; i++)
            uses[texts[k].letters[i]]++;
        *dots = *dots || texts[k].ellipsis >= 0;
        if (call->inputs[k]->rank == TL_RANK_UNKNOWN)
            continue;
        status = label_term(call, &texts[k], call->inputs[k]->rank - texts[k].count, &plan->terms[k]);
        if (!status)
            status = take_sizes(call, k, &plan->terms[k], plan->sizes);
    }
    return status;
}

static tl_status read_output(const tl_call *call, const char *at, const int *uses, bool dots, einsum_plan *plan,
                             bool *open)
{
    einsum_text text;
    uint64_t seen = 0;
    if (at[0] == '-' && at[1] == '>') {
        at += 2;
        tl_status status = read_text(call, &at, &text);
        if (status)
            return status;
        for (int i = 0; i < text.count; i++) {
            if (uses[text.letters[i]] == 0 || seen >> text.letters[i] & 1)
                return tl_fail(call, TL_INVALID_MODEL,
                               "the output's letters must each stand there once, and in an "
                               "input");
            seen |= (uint64_t)1 << text.letters[i];
        }
    } else {
        implicit_output(uses, dots, &text);
    }
    if (*at)
        return tl_fail(call, TL_INVALID_MODEL, "equation has an unexpected '%c'", *at > ' ' && *at < 127 ? *at : '?');
    *open = text.ellipsis >= 0 && plan->unknown;
    return label_term(call, &text, plan->dots, &plan->output);
}

static tl_status einsum_reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    einsum_plan plan = {.count = 0};
    int uses[EINSUM_LETTERS] = {0};
    bool dots = false, open = false;
    for (int i = 0; i < EINSUM_LABELS; i++)
        plan.sizes[i] = EINSUM_NO_SIZE;
    const char *at = op_string(call, "equation");
    tl_status status = read_operands(call, &at, &plan, uses, &dots);
    if (!status)
        status = read_output(call, at, uses, dots, &plan, &open);
    out->rank = TL_RANK_UNKNOWN;
    if (status || open)
        return status;
    if (plan.output.rank > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but at most %d is supported", plan.output.rank,
                       TL_MAX_RANK);
    out->rank = plan.output.rank;
    bool known = !plan.unknown;
    for (int i = 0; i < out->rank; i++) {
        tl_dim size = plan.sizes[plan.output.labels[i]];
        out->dims[i] = size == EINSUM_NO_SIZE ? TL_DIM_UNKNOWN : size;
    }
    for (size_t k = 0; k < call->input_count; k++)
        known = known && op_shape_known(call->inputs[k]);
    if (!call->plan || !known)
        return TL_OK;
    memcpy(call->plan, &plan, sizeof plan);
    return einsum_prepare(call, call->plan);
}

static tl_status einsum_run(tl_call *call)
{
    return einsum_compute(call, call->plan);
}

OP_DESCRIPTOR(Einsum, 12) = {OP_HEAD(Einsum, 12),         OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                             OP_PARAMS(attribute, attrs), .flags = TL_OP_LONG,   .plan_size = sizeof(einsum_plan),
                             .reshape = einsum_reshape,   .run = einsum_run};
