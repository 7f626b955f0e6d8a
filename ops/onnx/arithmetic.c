/* Add, Sub, Mul, Div, Mod, Pow, BitShift, BitwiseAnd, BitwiseOr, BitwiseXor: two operands, broadcast. */
#include "onnx/elementwise.h"

/* Integers wrap; a division by zero gives 0. */
#define WRAPPED(name, op)                                \
    OP_KERNEL2(name##_i64, uint64_t, uint64_t, u op v)   \
    OP_KERNEL2(name##_int32, uint32_t, uint32_t, u op v) \
    OP_KERNEL2(name##_uint8, uint8_t, uint8_t, u op v)
#define INTEGERS(name, f64)                                                                                  \
    {                                                                                                        \
        [OP_F64] = (f64), [OP_I64] = name##_i64, [OP_IN_INT32] = name##_int32, [OP_IN_UINT8] = name##_uint8, \
        [OP_IN_INT8] = name##_uint8                                                                          \
    }

static int64_t divide(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
/* Processors divide many floating numbers at once, and of numbers of half their bits a quotient is exact once it is
 * cut. Without branches, so that compilers do so: a division by -1, which could leave the range, is a negation. */
static inline int32_t cut_quotient(int32_t a, int32_t b)
{
    const uint32_t none = 0U - (b == 0), minus = 0U - (b == -1);
    const int32_t q = (int32_t)((double)a / (double)(int32_t)((uint32_t)b + (none & 1) + (minus & 2)));
    return (int32_t)((((uint32_t)q ^ minus) - minus) & ~none);
}
static inline int32_t cut_remainder(int32_t a, int32_t b)
{
    return (int32_t)(((uint32_t)a - (uint32_t)cut_quotient(a, b) * (uint32_t)b) & (0U - (b != 0)));
}
static int64_t truncated_remainder(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}
static int64_t floored_remainder(int64_t a, int64_t b)
{
    const int64_t r = truncated_remainder(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int32_t floored_cut_remainder(int32_t a, int32_t b)
{
    const int32_t r = cut_remainder(a, b);
    return r + (b & (0 - (((r ^ b) < 0) & (r != 0))));
}
/* fmod, which divides bit by bit. A whole quotient of up to 26 bits has exact products with either half of b's bits,
 * and so is what they leave of a; only the quotient may have been rounded up to the next whole number. */
static double fast_fmod(double a, double b)
{
    const double x = fabs(a), y = fabs(b), q = x / y;
    if (x < y)
        return a;
    if (!(q < 0x1p26 && x < 0x1p1000))
        return fmod(a, b);
    uint64_t bits;
    double high;
    memcpy(&bits, &y, sizeof bits);
    bits &= ~(uint64_t)0x7ffffff;
    memcpy(&high, &bits, sizeof high);
    const double whole = (double)(int32_t)q, r = x - whole * high - whole * (y - high);
    return copysign(r < 0.0 ? r + y : r, a);
}
static double floored_fmod(double a, double b)
{
    const double r = fast_fmod(a, b);
    if (r == 0.0)
        return copysign(0.0, b);
    return (r < 0.0) != (b < 0.0) ? r + b : r;
}

OP_KERNEL2(add_f64, double, double, u + v)
WRAPPED(add, +)
OP_KERNEL2(sub_f64, double, double, u - v)
WRAPPED(sub, -)
OP_KERNEL2(mul_f64, double, double, u *v)
WRAPPED(mul, *)
OP_KERNEL2(div_f64, double, double, u / v)
OP_KERNEL2(div_i64, int64_t, int64_t, divide(u, v))
OP_KERNEL2(div_u64, uint64_t, uint64_t, v == 0 ? 0 : u / v)
OP_KERNEL2(div_int32, int32_t, int32_t, cut_quotient(u, v))
OP_KERNEL2(fmod_f32, float, float, fast_fmod(u, v))
OP_KERNEL2(fmod_f64, double, double, fast_fmod(u, v))
OP_KERNEL2(fmod_i64, int64_t, int64_t, truncated_remainder(u, v))
OP_KERNEL2(mod_f32, float, float, floored_fmod(u, v))
OP_KERNEL2(mod_f64, double, double, floored_fmod(u, v))
OP_KERNEL2(mod_i64, int64_t, int64_t, floored_remainder(u, v))
OP_KERNEL2(fmod_int32, int32_t, int32_t, cut_remainder(u, v))
OP_KERNEL2(mod_int32, int32_t, int32_t, floored_cut_remainder(u, v))
OP_KERNEL2(mod_u64, uint64_t, uint64_t, v == 0 ? 0 : u % v)
OP_KERNEL2(and_bytes, uint8_t, uint8_t, u &v)
OP_KERNEL2(or_bytes, uint8_t, uint8_t, u | v)
OP_KERNEL2(xor_bytes, uint8_t, uint8_t, u ^ v)

static const op_binary add = {
    .kernels = INTEGERS(add, add_f64), .unsigned_too = true, .vectorised = true, .function = TLK_ADD};
static const op_binary sub = {
    .kernels = INTEGERS(sub, sub_f64), .unsigned_too = true, .vectorised = true, .function = TLK_SUB};
static const op_binary mul = {
    .kernels = INTEGERS(mul, mul_f64), .unsigned_too = true, .vectorised = true, .function = TLK_MUL};
static const op_binary quotient = {
    .kernels = {NULL, div_f64, div_i64, div_u64, [OP_IN_INT32] = div_int32}, .vectorised = true, .function = TLK_DIV};
static const op_binary fmod_rule = {.kernels = {fmod_f32, fmod_f64, fmod_i64, mod_u64, [OP_IN_INT32] = fmod_int32}};
static const op_binary mod_rule = {.kernels = {mod_f32, mod_f64, mod_i64, mod_u64, [OP_IN_INT32] = mod_int32}};
static const op_binary bitwise_and = {.kernels = {[OP_IN_BYTES] = and_bytes}};
static const op_binary bitwise_or = {.kernels = {[OP_IN_BYTES] = or_bytes}};
static const op_binary bitwise_xor = {.kernels = {[OP_IN_BYTES] = xor_bytes}};

#define RUN(name, rule)                            \
    static tl_status name(tl_call *call)           \
    {                                              \
        return op_binary_run(call, &(rule), NULL); \
    }
RUN(run_add, add)
RUN(run_sub, sub)
RUN(run_mul, mul)
RUN(run_div, quotient)
RUN(run_and, bitwise_and)
RUN(run_or, bitwise_or)
RUN(run_xor, bitwise_xor)

/* ---- Mod */

static tl_status run_mod(tl_call *call)
{
    return op_binary_run(call, op_int(call, "fmod") ? &fmod_rule : &mod_rule, NULL);
}
/* Before version 28 floating types must have fmod. */
static tl_status reshape_mod_10(tl_call *call)
{
    if ((TL_T(call->inputs[0]->type) & TL_T_FLOATS) && op_int(call, "fmod") != 1)
        return tl_fail(call, TL_INVALID_MODEL, "fmod is %lld, but must be 1 for floating types",
                       (long long)op_int(call, "fmod"));
    return op_binary_reshape(call);
}

/* ---- BitShift: by as many bits as the type has, or more, everything but the sign is gone */

typedef struct shift {
    int64_t bits;
    bool left;
} shift;

static void shift_i64(const void *pa, const void *pb, void *py, int64_t n, const void *parameter)
{
    const int64_t *a = pa, *b = pb;
    int64_t *y = py;
    const shift *s = parameter;
    for (int64_t i = 0; i < n; i++) {
        const int64_t u = a[i], by = b[i];
        const bool out = by < 0 || by >= s->bits;
        if (s->left)
            y[i] = out ? 0 : (int64_t)((uint64_t)u << by);
        else
            y[i] = u >> (out ? 63 : by);
    }
}
static void shift_u64(const void *pa, const void *pb, void *py, int64_t n, const void *parameter)
{
    const uint64_t *a = pa, *b = pb;
    uint64_t *y = py;
    const shift *s = parameter;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t u = a[i], by = b[i];
        y[i] = by >= 64 ? 0 : s->left ? u << by : u >> by;
    }
}
static const op_binary shift_rule = {.kernels = {NULL, NULL, shift_i64, shift_u64}};

static tl_status reshape_shift(tl_call *call)
{
    int direction;
    const tl_status status = op_word(call, "direction", "LEFT RIGHT", &direction);
    return status == TL_OK ? op_binary_reshape(call) : status;
}
static tl_status run_shift(tl_call *call)
{
    static const int8_t bits[TL_TYPE_COUNT] = {[TL_UINT8] = 8,   [TL_INT8] = 8,   [TL_UINT16] = 16, [TL_INT16] = 16,
                                               [TL_UINT32] = 32, [TL_INT32] = 32, [TL_UINT64] = 64, [TL_INT64] = 64};
    const shift s = {bits[call->inputs[0]->type], strcmp(op_string(call, "direction"), "LEFT") == 0};
    return op_binary_run(call, &shift_rule, &s);
}

/* ---- Pow: the result has the base's type */

static int64_t integer_power(int64_t base, uint64_t exponent)
{
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent; exponent >>= 1, square *= square)
        if (exponent & 1)
            result *= square;
    return (int64_t)result;
}
/* 1 / base^exponent, cut to whole */
static int64_t inverse_power(int64_t base, uint64_t exponent)
{
    return base == 1 ? 1 : base != -1 ? 0 : exponent & 1 ? -1 : 1;
}

typedef struct power {
    const tl_tensor *base, *exponent, *y;
    const int32_t *step;
} power;

/* Squares and cubes are the common case. */
static void powers_f32(const float *a, int a_step, const float *b, int b_step, float *y, int64_t n)
{
    const tlk_kernels *kernels = tlk_get();
    float squares[OP_BLOCK];
    if (b_step || (b[0] != 2.0F && b[0] != 3.0F)) {
        kernels->power(a, a_step, b, b_step, y, n);
        return;
    }
    const bool cubes = b[0] == 3.0F;
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        const float *from = a + i * a_step;
        kernels->binary(TLK_MUL, from, a_step, from, a_step, cubes ? squares : y + i, m);
        if (cubes)
            kernels->binary(TLK_MUL, squares, 1, from, a_step, y + i, m);
    }
}

/* Numbers of any domain as double, in place of what `from` may share with `to`. */
static void to_doubles(op_domain domain, const void *from, double *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = domain == OP_F32   ? (double)((const float *)from)[i]
                : domain == OP_F64 ? ((const double *)from)[i]
                : domain == OP_I64 ? (double)((const int64_t *)from)[i]
                                   : (double)((const uint64_t *)from)[i];
}

static void powers_mixed(op_domain to, const void *a, op_domain by, const void *b, void *y, int64_t n)
{
    double bases[OP_BLOCK], exponents[OP_BLOCK];
    to_doubles(to, a, bases, n);
    to_doubles(by, b, exponents, n);
    for (int64_t i = 0; i < n; i++) {
        const double p = pow(bases[i], exponents[i]);
        if (to == OP_F32)
            ((float *)y)[i] = (float)p;
        else if (to == OP_F64)
            ((double *)y)[i] = p;
        else
            ((int64_t *)y)[i] = op_to_int64(p);
    }
}

static void powers(op_domain to, const void *a, op_domain by, const void *b, void *y, int64_t n)
{
    if (to == OP_F32 && by == OP_F32)
        powers_f32(a, 1, b, 1, y, n);
    else if (to == OP_I64 && (by == OP_I64 || by == OP_U64))
        for (int64_t i = 0; i < n; i++) {
            const int64_t base = ((const int64_t *)a)[i];
            const uint64_t e = ((const uint64_t *)b)[i];
            const bool negative = by == OP_I64 && e >> 63;
            ((int64_t *)y)[i] = negative ? inverse_power(base, e) : integer_power(base, e);
        }
    else
        powers_mixed(to, a, by, b, y, n);
}

static void power_row(const void *context, const int64_t *in, int64_t at, int64_t n)
{
    const power *p = context;
    const tl_type type = p->base->type, by = p->exponent->type;
    op_block a_block, b_block, y_block;
    if (type == TL_FLOAT && by == TL_FLOAT) {
        powers_f32((const float *)p->base->data + in[0], p->step[0], (const float *)p->exponent->data + in[1],
                   p->step[1], (float *)p->y->data + at, n);
        return;
    }
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        const void *a = p->step[0] ? op_load_block(type, p->base->data, in[0] + i, m, &a_block)
                                   : op_fill_block(type, p->base->data, in[0], m, &a_block);
        const void *b = p->step[1] ? op_load_block(by, p->exponent->data, in[1] + i, m, &b_block)
                                   : op_fill_block(by, p->exponent->data, in[1], m, &b_block);
        powers(op_domain_of(type), a, op_domain_of(by), b, op_result_block(type, p->y->data, at + i, &y_block), m);
        op_store_block(type, p->y->data, at + i, m, &y_block);
    }
}

static tl_status run_pow(tl_call *call)
{
    const op_map *map = call->plan;
    const power p = {call->inputs[0], call->inputs[1], call->outputs[0], map->step};
    op_map_run(call, map, power_row, &p);
    return TL_OK;
}

/* ---- Descriptors */

#define T_BASE (TL_T_FLOATS | TL_T(TL_INT32) | TL_T(TL_INT64))

static const tl_param numeric_ins[] = {OP_IN("A", TL_T_NUMERIC, 'T'), OP_IN("B", TL_T_NUMERIC, 'T')};
static const tl_param numeric_outs[] = {OP_IN("C", TL_T_NUMERIC, 'T')};
static const tl_param integer_ins[] = {OP_IN("A", TL_T_INTEGERS, 'T'), OP_IN("B", TL_T_INTEGERS, 'T')};
static const tl_param integer_outs[] = {OP_IN("C", TL_T_INTEGERS, 'T')};
static const tl_param unsigned_ins[] = {OP_IN("X", TL_T_UNSIGNED, 'T'), OP_IN("Y", TL_T_UNSIGNED, 'T')};
static const tl_param unsigned_outs[] = {OP_IN("Z", TL_T_UNSIGNED, 'T')};
static const tl_param pow_ins[] = {OP_IN("X", T_BASE, 'T'), OP_IN("Y", TL_T_NUMERIC, 'U')};
static const tl_param pow_same_ins[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_param pow_outs[] = {OP_IN("Z", T_BASE, 'T')};
static const tl_attribute_spec attrs_6[] = {OP_INT("axis", 0), OP_INT("broadcast", 0)};
static const tl_attribute_spec mod_attrs[] = {OP_INT("fmod", 0)};
static const tl_attribute_spec shift_attrs[] = {
    {.name = "direction", .kind = TL_ATTR_STRING, .flags = TL_ATTR_REQUIRED}};

#define COMMON(in_table, out_table, run_function) \
    OP_PARAMS(input, in_table), OP_PARAMS(output, out_table), .plan_size = OP_PLAN_BINARY, .run = (run_function)
#define BOTH(name, run_function)                                                                 \
    OP_DESCRIPTOR(name, 6) = {OP_HEAD(name, 6), COMMON(numeric_ins, numeric_outs, run_function), \
                              OP_PARAMS(attribute, attrs_6), .reshape = op_binary_reshape_6};    \
    OP_DESCRIPTOR(name, 7) = {OP_HEAD(name, 7), COMMON(numeric_ins, numeric_outs, run_function), \
                              .flags = TL_OP_ELEMENTWISE, .reshape = op_binary_reshape};

BOTH(Add, run_add)
BOTH(Sub, run_sub)
BOTH(Mul, run_mul)
BOTH(Div, run_div)

OP_DESCRIPTOR(Mod, 10) = {OP_HEAD(Mod, 10), COMMON(numeric_ins, numeric_outs, run_mod), OP_PARAMS(attribute, mod_attrs),
                          .flags = TL_OP_ELEMENTWISE, .reshape = reshape_mod_10};
OP_DESCRIPTOR(Mod, 28) = {OP_HEAD(Mod, 28), COMMON(numeric_ins, numeric_outs, run_mod), OP_PARAMS(attribute, mod_attrs),
                          .flags = TL_OP_ELEMENTWISE, .reshape = op_binary_reshape};
OP_DESCRIPTOR(Pow, 1) = {OP_HEAD(Pow, 1), COMMON(pow_same_ins, pow_outs, run_pow), OP_PARAMS(attribute, attrs_6),
                         .reshape = op_binary_reshape_6};
OP_DESCRIPTOR(Pow, 7) = {OP_HEAD(Pow, 7), COMMON(pow_ins, pow_outs, run_pow), .flags = TL_OP_ELEMENTWISE,
                         .reshape = op_binary_reshape};
OP_DESCRIPTOR(BitShift, 11) = {OP_HEAD(BitShift, 11), COMMON(unsigned_ins, unsigned_outs, run_shift),
                               OP_PARAMS(attribute, shift_attrs), .flags = TL_OP_ELEMENTWISE, .reshape = reshape_shift};
OP_DESCRIPTOR(BitShift, 28) = {OP_HEAD(BitShift, 28), COMMON(integer_ins, integer_outs, run_shift),
                               OP_PARAMS(attribute, shift_attrs), .flags = TL_OP_ELEMENTWISE, .reshape = reshape_shift};
OP_DESCRIPTOR(BitwiseAnd, 18) = {OP_HEAD(BitwiseAnd, 18), COMMON(integer_ins, integer_outs, run_and),
                                 .flags = TL_OP_ELEMENTWISE, .reshape = op_binary_reshape};
OP_DESCRIPTOR(BitwiseOr, 18) = {OP_HEAD(BitwiseOr, 18), COMMON(integer_ins, integer_outs, run_or),
                                .flags = TL_OP_ELEMENTWISE, .reshape = op_binary_reshape};
OP_DESCRIPTOR(BitwiseXor, 18) = {OP_HEAD(BitwiseXor, 18), COMMON(integer_ins, integer_outs, run_xor),
                                 .flags = TL_OP_ELEMENTWISE, .reshape = op_binary_reshape};
