/* Small operators of the domain "test", one for each thing that operators may do. */
#include "fixture.h"

static const tl_param floats[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_param two[] = {{"X", TL_T(TL_FLOAT), 'T', 0}, {"Y", TL_T(TL_FLOAT), 'T', TL_PARAM_OPTIONAL}};
static const tl_param maybe[] = {{"Y", TL_T(TL_FLOAT), 'T', 0}, {"Z", TL_T(TL_FLOAT), 'T', TL_PARAM_OPTIONAL}};

/* What has no bytes lies somewhere all the same: operators add offsets to it. */
static tl_status run_add_one(tl_call *call)
{
    if (!call->inputs[0]->data || !call->outputs[0]->data || !call->workspace)
        return tl_fail(call, TL_INTERNAL, "no place for no bytes");
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++)
        ((float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] + 1;
    return TL_OK;
}

static tl_status run_half(tl_call *call)
{
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++)
        ((volatile float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] * 0.5f;
    return TL_OK;
}

/* Y = X + (Y or 0), and Z = X - that, if wanted. What is absent is there as NULL. */
static tl_status run_both(tl_call *call)
{
    if (call->input_count != 2 || call->output_count != 2)
        return tl_fail(call, TL_INTERNAL, "%zu inputs and %zu outputs", call->input_count, call->output_count);
    const float *x = call->inputs[0]->data, *y = call->inputs[1] ? call->inputs[1]->data : NULL;
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++) {
        float other = y ? y[i] : 0;
        ((float *)call->outputs[0]->data)[i] = x[i] + other;
        if (call->outputs[1])
            ((float *)call->outputs[1]->data)[i] = x[i] - other;
    }
    return TL_OK;
}

/* The positive elements: a shape that only the data knows. */
static tl_status reshape_positive(tl_call *call)
{
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = TL_DIM_UNKNOWN;
    return TL_OK;
}

static tl_status run_positive(tl_call *call)
{
    const float *x = call->inputs[0]->data;
    int64_t count = 0;
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++)
        count += x[i] > 0;
    float *y = call->host->output(call, 0, 1, &count);
    if (!y)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++)
        if (x[i] > 0)
            *y++ = x[i];
    return TL_OK;
}

static tl_status reshape_flat(tl_call *call)
{
    int64_t n = tl_tensor_elements(call->inputs[0]);
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = n < 0 ? TL_DIM_UNKNOWN : n;
    return TL_OK;
}

static tl_status run_negative_is_wrong(tl_call *call)
{
    const float *x = call->inputs[0]->data;
    if (tl_tensor_elements(call->inputs[0]) > 0 && x[0] < 0)
        return tl_fail(call, TL_INVALID_INPUT, "element 0 is %g, but must not be negative", (double)x[0]);
    return run_add_one(call);
}

/* X plus the first element of Y, a constant, which its state keeps. */
int created, destroyed;

static tl_status create_packed(tl_call *call)
{
    const float *y = call->inputs[1]->data;
    float *state = y ? call->host->alloc(call->host, sizeof *state, sizeof *state) : NULL;
    if (!state)
        return tl_fail(call, TL_NO_MEMORY, "no constant, or no memory");
    created++;
    *state = *y;
    call->state = state;
    call->packed = 2;
    return TL_OK;
}

static tl_status run_packed(tl_call *call)
{
    for (int64_t i = 0; i < tl_tensor_elements(call->inputs[0]); i++)
        ((float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] + *(float *)call->state;
    return TL_OK;
}

static void destroy_packed(const tl_host *host, void *state)
{
    destroyed++;
    host->free(host, state);
}

#define OP(op, ins, outs, what, reshape_function, run_function)                                       \
    {                                                                                                 \
        .size = sizeof(tl_operator), .domain = "test", .name = op, .since_version = 1, .inputs = ins, \
        .input_count = TL_COUNT(ins), .outputs = outs, .output_count = TL_COUNT(outs), .flags = what, \
        .reshape = reshape_function, .run = run_function                                              \
    }
static const tl_operator operators[] = {
    OP("AddOne", floats, floats, TL_OP_ELEMENTWISE, NULL, run_add_one),
    OP("Half", floats, floats, 0, NULL, run_half),
    OP("Both", two, maybe, 0, NULL, run_both),
    OP("Positive", floats, floats, 0, reshape_positive, run_positive),
    OP("Flat", floats, floats, TL_OP_VIEW, reshape_flat, NULL),
    OP("Twice", floats, maybe, TL_OP_VIEW, NULL, NULL),
    OP("Picky", floats, floats, 0, NULL, run_negative_is_wrong),
    {.size = sizeof(tl_operator),
     .domain = "test",
     .name = "Packed",
     .since_version = 1,
     .inputs = two,
     .input_count = 2,
     .outputs = floats,
     .output_count = 1,
     .create = create_packed,
     .run = run_packed,
     .destroy = destroy_packed},
};

tl_status register_operators(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "test", 1);
    for (size_t i = 0; i < TL_COUNT(operators) && status == TL_OK; i++)
        status = host->register_operator(registrar, &operators[i]);
    return status;
}
