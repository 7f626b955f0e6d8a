/* Neg, Abs, Sign, Ceil, Floor, Round, Sqrt, Reciprocal, Exp, Log, Erf, trigonometric and hyperbolic functions, IsNaN,
 * IsInf, Not, BitwiseNot: one operand. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

/* Floats and doubles, by the kernels. */
#define VECTOR(name, function)                                                       \
    static void name##_f32(const void *x, void *y, int64_t n, const void *parameter) \
    {                                                                                \
        (void)parameter;                                                             \
        tlk_get()->unary(function, x, y, n);                                         \
    }                                                                                \
    static void name##_f64(const void *x, void *y, int64_t n, const void *parameter) \
    {                                                                                \
        (void)parameter;                                                             \
        tlk_get()->doubles->unary(function, x, y, n);                                \
    }
VECTOR(neg, TLK_NEG)
VECTOR(abs, TLK_ABS)
VECTOR(ceil, TLK_CEIL)
VECTOR(floor, TLK_FLOOR)
VECTOR(round, TLK_ROUND)
VECTOR(sqrt, TLK_SQRT)
VECTOR(reciprocal, TLK_RECIPROCAL)
VECTOR(exp, TLK_EXP)
VECTOR(log, TLK_LOG)
VECTOR(erf, TLK_ERF)
VECTOR(atan, TLK_ATAN)
VECTOR(asin, TLK_ASIN)
VECTOR(acos, TLK_ACOS)

OP_KERNEL1(neg_i64, uint64_t, uint64_t, 0 - u)
OP_KERNEL1(neg_int32, uint32_t, uint32_t, 0 - u)
OP_KERNEL1(neg_int8, uint8_t, uint8_t, 0 - u)
OP_KERNEL1(abs_i64, int64_t, uint64_t, u < 0 ? 0 - (uint64_t)u : (uint64_t)u)
OP_KERNEL1(abs_u64, uint64_t, uint64_t, u)
OP_KERNEL1(abs_int32, int32_t, uint32_t, u < 0 ? 0 - (uint32_t)u : (uint32_t)u)
OP_KERNEL1(abs_uint8, uint8_t, uint8_t, u)
OP_KERNEL1(abs_int8, int8_t, uint8_t, u < 0 ? -u : u)
OP_KERNEL1(sign_f32, float, float, u > 0 ? 1.0F : u < 0 ? -1.0F : u == u ? 0.0F : u)
OP_KERNEL1(sign_f64, double, double, u > 0 ? 1.0 : u < 0 ? -1.0 : u == u ? 0.0 : u)
OP_KERNEL1(sign_i64, int64_t, int64_t, (u > 0) - (u < 0))
OP_KERNEL1(sign_u64, uint64_t, uint64_t, u > 0)
OP_KERNEL1(sign_int32, int32_t, int32_t, (u > 0) - (u < 0))
OP_KERNEL1(erf_i64, int64_t, int64_t, erf((double)u)) /* up to version 12; cut to whole */
OP_KERNEL1(erf_u64, uint64_t, uint64_t, erf((double)u))
OP_KERNEL1(not_bool, uint8_t, uint8_t, u == 0)
OP_KERNEL1(bitwise_not_bytes, uint8_t, uint8_t, ~u)

#define SINE(function, cosine)                                                           \
    static void function##_f32(const void *x, void *y, int64_t n, const void *parameter) \
    {                                                                                    \
        (void)parameter;                                                                 \
        tlk_get()->sine(x, y, n, cosine);                                                \
    }                                                                                    \
    OP_KERNEL1(function##_f64, double, double, function(u))
SINE(sin, 0)
SINE(cos, 1)

/* The rest is the C library's. */
#define LIBRARY(function)                                                                              \
    OP_KERNEL1(function##_f32, float, float, function##f(u))                                           \
    OP_KERNEL1(function##_f64, double, double, function(u))                                            \
    static const op_unary function##_rule = {.kernels = {function##_f32, function##_f64}, .cost = 40}; \
    static tl_status run_##function(tl_call *call)                                                     \
    {                                                                                                  \
        return op_unary_run(call, &function##_rule, NULL);                                             \
    }
LIBRARY(tan)
LIBRARY(sinh)
LIBRARY(cosh)
LIBRARY(asinh)
LIBRARY(acosh)
LIBRARY(atanh)

#define RULE(name, cost_of_one, is_predicate, ...)                                     \
    static const op_unary name##_rule = {                                              \
        .kernels = {__VA_ARGS__}, .predicate = (is_predicate), .cost = (cost_of_one)}; \
    static tl_status run_##name(tl_call *call)                                         \
    {                                                                                  \
        return op_unary_run(call, &name##_rule, NULL);                                 \
    }
RULE(neg, 1, false, neg_f32, neg_f64, neg_i64, [OP_IN_INT32] = neg_int32, [OP_IN_INT8] = neg_int8)
RULE(abs, 1, false, abs_f32, abs_f64, abs_i64, abs_u64, abs_int32, abs_uint8, abs_int8)
RULE(sign, 1, false, sign_f32, sign_f64, sign_i64, sign_u64, sign_int32)
RULE(ceil, 1, false, ceil_f32, ceil_f64)
RULE(floor, 1, false, floor_f32, floor_f64)
RULE(round, 1, false, round_f32, round_f64)
RULE(sqrt, 2, false, sqrt_f32, sqrt_f64)
RULE(reciprocal, 2, false, reciprocal_f32, reciprocal_f64)
RULE(exp, 4, false, exp_f32, exp_f64)
RULE(log, 4, false, log_f32, log_f64)
RULE(erf, 8, false, erf_f32, erf_f64, erf_i64, erf_u64)
RULE(atan, 8, false, atan_f32, atan_f64)
RULE(asin, 8, false, asin_f32, asin_f64)
RULE(acos, 8, false, acos_f32, acos_f64)
RULE(sin, 8, false, sin_f32, sin_f64)
RULE(cos, 8, false, cos_f32, cos_f64)
RULE(not, 1, true, [OP_IN_BOOL] = not_bool)
RULE(bitwise_not, 1, false, [OP_IN_BYTES] = bitwise_not_bytes)

/* ---- IsNaN, IsInf: all floating types */

OP_KERNEL1(nan_f32, float, uint8_t, u != u)
OP_KERNEL1(nan_f64, double, uint8_t, u != u)
RULE(nan, 1, true, nan_f32, nan_f64)

/* The infinities that count; NaN, which nothing equals, in place of one that does not. */
typedef struct infinities {
    float positive, negative;
} infinities;

#define INFINITE(name, T)                                                        \
    static void name(const void *px, void *py, int64_t n, const void *parameter) \
    {                                                                            \
        const infinities *s = parameter;                                         \
        const T *x = px, positive = (T)s->positive, negative = (T)s->negative;   \
        uint8_t *y = py;                                                         \
        for (int64_t i = 0; i < n; i++)                                          \
            y[i] = (uint8_t)((x[i] == positive) | (x[i] == negative));           \
    }
INFINITE(inf_f32, float)
INFINITE(inf_f64, double)

static tl_status run_inf(tl_call *call)
{
    static const op_unary rule = {.kernels = {inf_f32, inf_f64}, .predicate = true};
    const infinities s = {op_int(call, "detect_positive") ? INFINITY : NAN,
                          op_int(call, "detect_negative") ? -INFINITY : NAN};
    return op_unary_run(call, &rule, &s);
}

/* ---- Descriptors */

#define T_NEG  (TL_T_FLOATS | TL_T_SIGNED)
#define T_TEST (TL_T_FLOATS | OP_T_FLOAT8)

static const tl_param numeric_ins[] = {OP_IN("X", TL_T_NUMERIC, 'T')};
static const tl_param numeric_outs[] = {OP_IN("Y", TL_T_NUMERIC, 'T')};
static const tl_param float_ins[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param float_outs[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_param neg_ins[] = {OP_IN("X", T_NEG, 'T')};
static const tl_param neg_outs[] = {OP_IN("Y", T_NEG, 'T')};
static const tl_param integer_ins[] = {OP_IN("X", TL_T_INTEGERS, 'T')};
static const tl_param integer_outs[] = {OP_IN("Y", TL_T_INTEGERS, 'T')};
static const tl_param test_ins[] = {OP_IN("X", T_TEST, 0)};
static const tl_param bool_ins[] = {OP_IN("X", OP_T_BOOL, 0)};
static const tl_param bool_outs[] = {OP_IN("Y", OP_T_BOOL, 0)};
static const tl_attribute_spec inf_attrs[] = {OP_INT("detect_negative", 1), OP_INT("detect_positive", 1)};

#define OPERATOR(name, since, in_table, out_table, ...)                                                           \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since), OP_PARAMS(input, in_table), OP_PARAMS(output, out_table), \
                                  .flags = TL_OP_ELEMENTWISE, __VA_ARGS__};

OPERATOR(Neg, 6, neg_ins, neg_outs, .run = run_neg)
OPERATOR(Abs, 6, numeric_ins, numeric_outs, .run = run_abs)
OPERATOR(Sign, 9, numeric_ins, numeric_outs, .run = run_sign)
OPERATOR(Ceil, 6, float_ins, float_outs, .run = run_ceil)
OPERATOR(Floor, 6, float_ins, float_outs, .run = run_floor)
OPERATOR(Round, 11, float_ins, float_outs, .run = run_round)
OPERATOR(Sqrt, 6, float_ins, float_outs, .run = run_sqrt)
OPERATOR(Reciprocal, 6, float_ins, float_outs, .run = run_reciprocal)
OPERATOR(Exp, 6, float_ins, float_outs, .run = run_exp)
OPERATOR(Log, 6, float_ins, float_outs, .run = run_log)
OPERATOR(Erf, 9, numeric_ins, numeric_outs, .run = run_erf)
OPERATOR(Erf, 13, float_ins, float_outs, .run = run_erf)
OPERATOR(Sin, 7, float_ins, float_outs, .run = run_sin)
OPERATOR(Cos, 7, float_ins, float_outs, .run = run_cos)
OPERATOR(Tan, 7, float_ins, float_outs, .run = run_tan)
OPERATOR(Asin, 7, float_ins, float_outs, .run = run_asin)
OPERATOR(Acos, 7, float_ins, float_outs, .run = run_acos)
OPERATOR(Atan, 7, float_ins, float_outs, .run = run_atan)
OPERATOR(Sinh, 9, float_ins, float_outs, .run = run_sinh)
OPERATOR(Cosh, 9, float_ins, float_outs, .run = run_cosh)
OPERATOR(Asinh, 9, float_ins, float_outs, .run = run_asinh)
OPERATOR(Acosh, 9, float_ins, float_outs, .run = run_acosh)
OPERATOR(Atanh, 9, float_ins, float_outs, .run = run_atanh)
OPERATOR(IsNaN, 9, test_ins, bool_outs, .run = run_nan)
OPERATOR(IsInf, 10, test_ins, bool_outs, .run = run_inf, OP_PARAMS(attribute, inf_attrs))
OPERATOR(Not, 1, bool_ins, bool_outs, .run = run_not)
OPERATOR(BitwiseNot, 18, integer_ins, integer_outs, .run = run_bitwise_not)
