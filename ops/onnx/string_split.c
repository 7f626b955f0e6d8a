/* StringSplit. Parts are views of the input's bytes. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_STRING, 0)};
static const tl_param outs[] = {OP_IN("Y", OP_T_STRING, 0), OP_IN("Z", OP_T_INT64, 0)};
static const tl_attribute_spec attrs[] = {OP_STRING("delimiter", ""), OP_INT("maxsplit", 0)};

static tl_status split_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = op_output(call, 0);
    if (x->rank == TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but at most %d is supported", TL_MAX_RANK + 1,
                       TL_MAX_RANK);
    if (op_output(call, 1))
        op_copy_shape(call->outputs[1], x);
    if (y) {
        op_copy_shape(y, x);
        if (x->rank != TL_RANK_UNKNOWN)
            y->dims[y->rank++] = TL_DIM_UNKNOWN;
    }
    return TL_OK;
}

typedef struct split_rule {
    tl_string delimiter; /* empty: runs of white space, and none at the ends */
    int64_t most;        /* splits; INT64_MAX: all */
} split_rule;

/* Takes the next part off *rest, when `splits` have been made; false if there is none. */
static bool next_part(const split_rule *rule, int64_t splits, tl_string *rest, tl_string *part)
{
    size_t width = rule->delimiter.size;
    if (rest->size == SIZE_MAX) /* the last part is taken */
        return false;
    const char *at = rest->size > 0 ? rest->data : "", *end = at + rest->size;
    if (width == 0) {
        while (at < end && op_is_space(*at))
            at++;
        if (at == end)
            return false;
        const char *stop = at;
        while (splits < rule->most ? stop < end && !op_is_space(*stop) : stop < end)
            stop++;
        *part = (tl_string){at, (size_t)(stop - at)};
        *rest = (tl_string){stop, (size_t)(end - stop)};
        return true;
    }
    const char *found = splits < rule->most && (size_t)(end - at) >= width
                            ? memmem(at, (size_t)(end - at), rule->delimiter.data, width)
                            : NULL;
    *part = (tl_string){at, (size_t)((found ? found : end) - at)};
    *rest = found ? (tl_string){found + width, (size_t)(end - found) - width} : (tl_string){end, SIZE_MAX};
    return true;
}

static tl_status split_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const tl_string *text = x->data;
    int64_t n = op_elements(x), most = 0, dims[TL_MAX_RANK];
    split_rule rule = {.most = op_given(call, "maxsplit") ? op_int(call, "maxsplit") : INT64_MAX};
    rule.delimiter.data = call->host->attribute_string(call->node, "delimiter", &rule.delimiter.size);
    if (rule.most < 0)
        rule.most = INT64_MAX;
    tl_tensor *counts = op_output(call, 1);
    tl_string part;
    for (int64_t i = 0; i < n; i++) {
        tl_string rest = text[i];
        int64_t count = 0;
        while (next_part(&rule, count, &rest, &part))
            count++;
        if (counts)
            ((int64_t *)counts->data)[i] = count;
        most = count > most ? count : most;
    }
    if (!op_output(call, 0))
        return TL_OK;
    if (x->rank > 0)
        memcpy(dims, x->dims, (size_t)x->rank * sizeof dims[0]);
    dims[x->rank] = most;
    tl_string *to = call->host->output(call, 0, x->rank + 1, dims);
    if (!to)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        tl_string rest = text[i];
        int64_t count = 0;
        for (; next_part(&rule, count, &rest, &part); count++)
            *to++ = part;
        for (; count < most; count++)
            *to++ = (tl_string){"", 0};
    }
    return TL_OK;
}

OP_DESCRIPTOR(StringSplit, 20) = {OP_HEAD(StringSplit, 20),    OP_PARAMS(input, ins),    OP_PARAMS(output, outs),
                                  OP_PARAMS(attribute, attrs), .reshape = split_reshape, .run = split_run};
