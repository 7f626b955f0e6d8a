/* RegexFullMatch. */
#include "onnx/regex.h"
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_STRING, 0)};
static const tl_param outs[] = {OP_IN("Y", OP_T_BOOL, 0)};
static const tl_attribute_spec attrs[] = {OP_STRING("pattern", "")};

static tl_status match_create(tl_call *call)
{
    size_t size;
    const char *pattern = call->host->attribute_string(call->node, "pattern", &size), *error = regex_too_large;
    regex *program = NULL;
    /* How many nodes there will be shows only at the end, because of repetitions: try with more and more room. */
    for (size_t capacity = 256; error == regex_too_large && capacity <= REGEX_MAX_NODES; capacity *= 16) {
        call->host->free(call->host, program);
        program = call->host->alloc(call->host, sizeof *program + capacity * sizeof(regex_node), 64);
        if (!program)
            return tl_fail(call, TL_NO_MEMORY, "no memory for a regular expression");
        error = regex_compile(program, pattern, size, (regex_node *)(program + 1), capacity);
    }
    if (error) {
        call->host->free(call->host, program);
        return tl_fail(call, TL_INVALID_MODEL, "pattern '%.100s' cannot be used: %s", pattern, error);
    }
    call->state = program;
    return TL_OK;
}

static tl_status match_reshape(tl_call *call)
{
    const regex *program = call->state;
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (program)
        call->workspace_size = regex_match_bytes(program);
    return TL_OK;
}

static tl_status match_run(tl_call *call)
{
    const tl_string *texts = call->inputs[0]->data;
    uint8_t *to = call->outputs[0]->data;
    int64_t n = op_elements(call->outputs[0]);
    for (int64_t i = 0; i < n; i++)
        to[i] = regex_match(call->state, texts[i].data, texts[i].size, call->workspace);
    return TL_OK;
}

OP_DESCRIPTOR(RegexFullMatch, 20) = {OP_HEAD(RegexFullMatch, 20), OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                                     OP_PARAMS(attribute, attrs), .flags = TL_OP_LONG,   .create = match_create,
                                     .reshape = match_reshape,    .run = match_run,      .destroy = op_free_state};
