/* Equal, Greater, GreaterOrEqual, Less, LessOrEqual, And, Or, Xor: two operands, broadcast, to bool. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

#define COMPARE(name, op)                              \
    OP_KERNEL2(name##_f32, float, uint8_t, u op v)     \
    OP_KERNEL2(name##_f64, double, uint8_t, u op v)    \
    OP_KERNEL2(name##_i64, int64_t, uint8_t, u op v)   \
    OP_KERNEL2(name##_u64, uint64_t, uint8_t, u op v)  \
    OP_KERNEL2(name##_int32, int32_t, uint8_t, u op v) \
    OP_KERNEL2(name##_uint8, uint8_t, uint8_t, u op v) \
    OP_KERNEL2(name##_int8, int8_t, uint8_t, u op v)
#define RULE(name, table, is_swapped, signless)                                                                      \
    static const op_binary name = {                                                                                  \
        .kernels = {table##_f32, table##_f64, table##_i64, table##_u64, table##_int32, table##_uint8, table##_int8}, \
        .predicate = true,                                                                                           \
        .unsigned_too = (signless),                                                                                  \
        .swapped = (is_swapped)};                                                                                    \
    static tl_status run_##name(tl_call *call)                                                                       \
    {                                                                                                                \
        return op_binary_run(call, &(name), NULL);                                                                   \
    }
COMPARE(equal, ==)
COMPARE(less, <)
COMPARE(less_or_equal, <=)
RULE(equal, equal, false, true)
RULE(less, less, false, false)
RULE(less_or_equal, less_or_equal, false, false)
RULE(greater, less, true, false)
RULE(greater_or_equal, less_or_equal, true, false)

/* A byte of bool may be any number that is not 0. */
#define LOGICAL(name, op)                                                                       \
    OP_KERNEL2(name##_bool, uint8_t, uint8_t, (u != 0) op(v != 0))                              \
    static const op_binary name = {.kernels = {[OP_IN_BOOL] = name##_bool}, .predicate = true}; \
    static tl_status run_##name(tl_call *call)                                                  \
    {                                                                                           \
        return op_binary_run(call, &(name), NULL);                                              \
    }
LOGICAL(logical_and, &)
LOGICAL(logical_or, |)
LOGICAL(logical_xor, ^)
LOGICAL(logical_equal, ==)

/* ---- Equal of strings */

typedef struct strings {
    const tl_string *a, *b;
    uint8_t *y;
    const int32_t *step;
} strings;

static void equal_strings(const void *context, const int64_t *in, int64_t at, int64_t n)
{
    const strings *s = context;
    for (int64_t i = 0; i < n; i++)
        s->y[at + i] = op_compare_strings(&s->a[in[0] + i * s->step[0]], &s->b[in[1] + i * s->step[1]]) == 0;
}

static tl_status run_any_equal(tl_call *call)
{
    if (call->inputs[0]->type == TL_BOOL)
        return run_logical_equal(call);
    if (call->inputs[0]->type != TL_STRING)
        return run_equal(call);
    const op_map *map = call->plan;
    const strings s = {call->inputs[0]->data, call->inputs[1]->data, call->outputs[0]->data, map->step};
    op_map_run(call, map, equal_strings, &s);
    return TL_OK;
}

/* ---- Descriptors */

#define T_EQUAL (TL_T_NUMERIC | OP_T_BOOL)

static const tl_param numeric_ins[] = {OP_IN("A", TL_T_NUMERIC, 'T'), OP_IN("B", TL_T_NUMERIC, 'T')};
static const tl_param equal_ins[] = {OP_IN("A", T_EQUAL, 'T'), OP_IN("B", T_EQUAL, 'T')};
static const tl_param any_ins[] = {OP_IN("A", T_EQUAL | OP_T_STRING, 'T'), OP_IN("B", T_EQUAL | OP_T_STRING, 'T')};
static const tl_param bool_ins[] = {OP_IN("A", OP_T_BOOL, 0), OP_IN("B", OP_T_BOOL, 0)};
static const tl_param outs[] = {OP_IN("C", OP_T_BOOL, 0)};
static const tl_attribute_spec attrs_6[] = {OP_INT("axis", 0), OP_INT("broadcast", 0)};

#define OPERATOR_1(name, ins, run_function)                   \
    OP_DESCRIPTOR(name, 1) = {OP_HEAD(name, 1),               \
                              OP_PARAMS(input, ins),          \
                              OP_PARAMS(output, outs),        \
                              OP_PARAMS(attribute, attrs_6),  \
                              .plan_size = OP_PLAN_BINARY,    \
                              .reshape = op_binary_reshape_6, \
                              .run = (run_function)};
#define OPERATOR(name, since, ins, run_function)                                                                   \
    OP_DESCRIPTOR(name,                                                                                            \
                  since) = {OP_HEAD(name, since),       OP_PARAMS(input, ins),       OP_PARAMS(output, outs),      \
                            .flags = TL_OP_ELEMENTWISE, .plan_size = OP_PLAN_BINARY, .reshape = op_binary_reshape, \
                            .run = (run_function)};

OPERATOR_1(And, bool_ins, run_logical_and)
OPERATOR(And, 7, bool_ins, run_logical_and)
OPERATOR_1(Or, bool_ins, run_logical_or)
OPERATOR(Or, 7, bool_ins, run_logical_or)
OPERATOR_1(Xor, bool_ins, run_logical_xor)
OPERATOR(Xor, 7, bool_ins, run_logical_xor)
OPERATOR_1(Equal, equal_ins, run_any_equal)
OPERATOR(Equal, 7, equal_ins, run_any_equal)
OPERATOR(Equal, 19, any_ins, run_any_equal)
OPERATOR_1(Greater, numeric_ins, run_greater)
OPERATOR(Greater, 7, numeric_ins, run_greater)
OPERATOR_1(Less, numeric_ins, run_less)
OPERATOR(Less, 7, numeric_ins, run_less)
OPERATOR(GreaterOrEqual, 12, numeric_ins, run_greater_or_equal)
OPERATOR(LessOrEqual, 12, numeric_ins, run_less_or_equal)
