/* Tensors out of attributes: Constant, ConstantOfShape. */
#include "onnx/tensor.h"

/* ---- Constant */

static const tl_param constant_outs[] = {OP_IN("output", TL_T_ALL, 0)};
static const tl_attribute_spec constant_attrs_1[] = {
    {.name = "value", .kind = TL_ATTR_TENSOR, .flags = TL_ATTR_REQUIRED},
};
static const tl_attribute_spec constant_attrs[] = {
    {.name = "value", .kind = TL_ATTR_TENSOR},
    {.name = "sparse_value", .kind = TL_ATTR_TENSOR},
    OP_INT("value_int", 0),
    OP_INTS("value_ints"),
    OP_FLOAT("value_float", 0),
    {.name = "value_floats", .kind = TL_ATTR_FLOATS},
    OP_STRING("value_string", ""),
    {.name = "value_strings", .kind = TL_ATTR_STRINGS},
};

/* The node's value as a tensor. Its elements are the node's, or, for a single one, *single. */
typedef union constant_single {
    int64_t i;
    float f;
    tl_string s;
} constant_single;

static void constant_list(tl_tensor *value, tl_type type, const void *data, size_t count)
{
    *value = (tl_tensor){.data = (void *)(uintptr_t)data, .type = type, .rank = 1, .dims = {(int64_t)count}};
}

static void constant_one(tl_tensor *value, tl_type type, void *data)
{
    *value = (tl_tensor){.data = data, .type = type};
}

static tl_status constant_value(const tl_call *call, tl_tensor *value, constant_single *single)
{
    const tl_host *host = call->host;
    const char *given = NULL;
    for (size_t k = 0; k < sizeof constant_attrs / sizeof constant_attrs[0]; k++) {
        const char *name = constant_attrs[k].name;
        if (!host->attribute_given(call->node, name))
            continue;
        if (given)
            return tl_fail(call, TL_INVALID_MODEL, "has both %s and %s", given, name);
        given = name;
    }
    if (!given)
        return tl_fail(call, TL_INVALID_MODEL, "has none of the attributes that could give its value");
    size_t count = 0;
    if (strcmp(given, "value") == 0 || strcmp(given, "sparse_value") == 0) {
        *value = *host->attribute_tensor(call->node, given);
    } else if (strcmp(given, "value_int") == 0) {
        single->i = host->attribute_int(call->node, given);
        constant_one(value, TL_INT64, &single->i);
    } else if (strcmp(given, "value_float") == 0) {
        single->f = host->attribute_float(call->node, given);
        constant_one(value, TL_FLOAT, &single->f);
    } else if (strcmp(given, "value_string") == 0) {
        single->s.data = host->attribute_string(call->node, given, &single->s.size);
        constant_one(value, TL_STRING, &single->s);
    } else if (strcmp(given, "value_ints") == 0) {
        const int64_t *list = host->attribute_ints(call->node, given, &count);
        constant_list(value, TL_INT64, list, count);
    } else if (strcmp(given, "value_floats") == 0) {
        const float *list = host->attribute_floats(call->node, given, &count);
        constant_list(value, TL_FLOAT, list, count);
    } else {
        const tl_string *list = host->attribute_strings(call->node, given, &count);
        constant_list(value, TL_STRING, list, count);
    }
    return TL_OK;
}

static tl_status constant_reshape(tl_call *call)
{
    tl_tensor value;
    constant_single single;
    tl_status status = constant_value(call, &value, &single);
    if (status)
        return status;
    call->outputs[0]->type = value.type;
    op_copy_shape(call->outputs[0], &value);
    return TL_OK;
}

static tl_status constant_run(tl_call *call)
{
    tl_tensor value = {.type = TL_UNDEFINED};
    constant_single single;
    tl_status status = constant_value(call, &value, &single);
    if (status)
        return status;
    op_copy_bytes(call, call->outputs[0]->data, value.data, op_bytes(value.type, op_elements(&value)));
    return TL_OK;
}

OP_DESCRIPTOR(Constant, 1) = {OP_HEAD(Constant, 1), OP_PARAMS(output, constant_outs),
                              OP_PARAMS(attribute, constant_attrs_1), .reshape = constant_reshape, .run = constant_run};
OP_DESCRIPTOR(Constant, 11) = {OP_HEAD(Constant, 11), OP_PARAMS(output, constant_outs),
                               OP_PARAMS(attribute, constant_attrs), .reshape = constant_reshape, .run = constant_run};

/* ---- ConstantOfShape */

static const tl_param of_shape_ins[] = {OP_IN("input", OP_T_INT64, 0)};
static const tl_attribute_spec of_shape_attrs[] = {{.name = "value", .kind = TL_ATTR_TENSOR}};

static tl_status of_shape_reshape(tl_call *call)
{
    const tl_tensor *value = call->host->attribute_tensor(call->node, "value");
    tl_tensor *out = call->outputs[0];
    int64_t shape[TL_MAX_RANK], count;
    if (value && (!op_shape_known(value) || op_elements(value) != 1))
        return tl_fail(call, TL_INVALID_MODEL, "value must have exactly one element");
    out->type = value ? value->type : TL_FLOAT;
    tl_status status = op_index_list(call, 0, shape, TL_MAX_RANK, &count);
    if (status)
        return status;
    if (count < 0) {
        op_rank_from_list(call->inputs[0], 0, out);
        return TL_OK;
    }
    out->rank = (int32_t)count;
    for (int32_t i = 0; i < out->rank; i++) {
        if (shape[i] < 0)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d is %lld", i, (long long)shape[i]);
        out->dims[i] = shape[i];
    }
    return TL_OK;
}

/* A packed element, repeated over a byte. */
static uint8_t spread(uint8_t byte, unsigned bits)
{
    uint8_t element = byte & (uint8_t)((1u << bits) - 1);
    for (unsigned filled = bits; filled < 8; filled *= 2)
        element |= (uint8_t)(element << filled);
    return element;
}

static tl_status of_shape_run(tl_call *call)
{
    const tl_tensor *value = call->host->attribute_tensor(call->node, "value");
    tl_tensor *out = call->outputs[0];
    static const float zero = 0;
    unsigned bits = op_type_bits(out->type);
    int64_t n = op_elements(out);
    if (bits < 8) {
        uint8_t byte = spread(*(const uint8_t *)value->data, bits);
        op_fill(out->data, &byte, 1, op_bytes(out->type, n));
    } else {
        op_fill(out->data, value ? value->data : &zero, bits / 8, n);
    }
    return TL_OK;
}

OP_DESCRIPTOR(ConstantOfShape, 9) = {OP_HEAD(ConstantOfShape, 9),      OP_PARAMS(input, of_shape_ins),
                                     OP_PARAMS(output, constant_outs), OP_PARAMS(attribute, of_shape_attrs),
                                     .reshape = of_shape_reshape,      .run = of_shape_run};
