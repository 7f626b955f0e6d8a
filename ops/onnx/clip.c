/* Clip: min(max(x, min), max), so that max wins where the two cross; and NaN stays. */
#include "onnx/elementwise.h"

/* Bounds in the type's domain. */
typedef struct bounds {
    op_block low, high; /* element 0 */
    bool has_low, has_high;
} bounds;

#define CLIP(name, T, field, lowest, highest)                                    \
    static void name(const void *px, void *py, int64_t n, const void *parameter) \
    {                                                                            \
        const bounds *b = parameter;                                             \
        const T *x = px;                                                         \
        T *y = py;                                                               \
        const T low = b->has_low ? (T)b->low.field[0] : (T)(lowest);             \
        const T high = b->has_high ? (T)b->high.field[0] : (T)(highest);         \
        OP_INDEPENDENT for (int64_t i = 0; i < n; i++)                           \
        {                                                                        \
            const T u = x[i] < low ? low : x[i];                                 \
            y[i] = u > high ? high : u;                                          \
        }                                                                        \
    }
CLIP(clip_f64, double, f64, -INFINITY, INFINITY)
CLIP(clip_i64, int64_t, i64, INT64_MIN, INT64_MAX)
CLIP(clip_u64, uint64_t, u64, 0, UINT64_MAX)
CLIP(clip_int32, int32_t, i64, INT32_MIN, INT32_MAX)
CLIP(clip_uint8, uint8_t, i64, 0, UINT8_MAX)
CLIP(clip_int8, int8_t, i64, INT8_MIN, INT8_MAX)

static void clip_f32(const void *x, void *y, int64_t n, const void *parameter)
{
    const bounds *b = parameter;
    const tlk_activation clip = {TLK_CLIP, b->has_low ? b->low.f32[0] : -INFINITY,
                                 b->has_high ? b->high.f32[0] : INFINITY};
    tlk_get()->activate(&clip, x, y, n);
}

static const op_unary clip = {.kernels = {clip_f32, clip_f64, clip_i64, clip_u64, clip_int32, clip_uint8, clip_int8}};

static tl_status run_6(tl_call *call)
{
    bounds b = {.has_low = true, .has_high = true};
    const float low = op_float(call, "min"), high = op_float(call, "max");
    if (call->inputs[0]->type == TL_DOUBLE) {
        b.low.f64[0] = (double)low;
        b.high.f64[0] = (double)high;
    } else {
        b.low.f32[0] = low;
        b.high.f32[0] = high;
    }
    return op_unary_run(call, &clip, &b);
}

static tl_status reshape_11(tl_call *call)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    for (size_t k = 1; k <= 2; k++) {
        const tl_tensor *bound = op_input(call, k);
        for (int32_t i = 0; bound && i < bound->rank; i++)
            if (bound->dims[i] >= 0 && bound->dims[i] != 1)
                return tl_fail(call, TL_INVALID_INPUT, "%s has %lld elements, but must be a scalar",
                               k == 1 ? "min" : "max", (long long)bound->dims[i]);
    }
    return TL_OK;
}

static void load_bound(const tl_tensor *from, op_block *to, bool *has)
{
    *has = from != NULL;
    if (from)
        op_fill_block(from->type, from->data, 0, 1, to);
}

static tl_status run_11(tl_call *call)
{
    bounds b;
    load_bound(op_input(call, 1), &b.low, &b.has_low);
    load_bound(op_input(call, 2), &b.high, &b.has_high);
    return op_unary_run(call, &clip, &b);
}

#define FLT_LARGEST 0x1.fffffep127F

static const tl_param ins_6[] = {OP_IN("input", TL_T_FLOATS, 'T')};
static const tl_param ins_11[] = {OP_IN("input", TL_T_NUMERIC, 'T'), OP_OPT("min", TL_T_NUMERIC, 'T'),
                                  OP_OPT("max", TL_T_NUMERIC, 'T')};
static const tl_param outs[] = {OP_IN("output", TL_T_NUMERIC, 'T')};
static const tl_attribute_spec attrs_6[] = {OP_FLOAT("max", FLT_LARGEST), OP_FLOAT("min", -FLT_LARGEST)};

OP_DESCRIPTOR(Clip, 6) = {OP_HEAD(Clip, 6),           OP_PARAMS(input, ins_6),
                          OP_PARAMS(output, outs),    OP_PARAMS(attribute, attrs_6),
                          .flags = TL_OP_ELEMENTWISE, .run = run_6};
OP_DESCRIPTOR(Clip, 11) = {OP_HEAD(Clip, 11),          OP_PARAMS(input, ins_11), OP_PARAMS(output, outs),
                           .flags = TL_OP_ELEMENTWISE, .reshape = reshape_11,    .run = run_11};
