/* Cast, CastLike: elements of one type to another. BitCast: their bits as another type. */
#include "onnx/cast.h"

#include "onnx/number.h"
#include "onnx/tensor.h"

#define T_CAST (TL_T_ALL & ~(TL_T(TL_COMPLEX64) | TL_T(TL_COMPLEX128)))
#define T_BITS (TL_T_ALL & ~(OP_T_STRING | OP_T_FLOAT6))
#define BYTES  (OP_T_BOOL | TL_T(TL_INT8) | TL_T(TL_UINT8))
#define PIECE  (16 * OP_BLOCK) /* elements of a piece of a parallel loop; whole bytes of any packed type */

/* ---- Numbers to numbers, block by block */

typedef struct cast {
    const tl_tensor *x, *y;
    bool saturate;
    op_round round;
} cast;

/* Source values of any domain as the target's domain. */
static void to_f32(op_domain from, const void *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = from == OP_F64   ? (float)((const double *)x)[i]
               : from == OP_I64 ? (float)((const int64_t *)x)[i]
                                : (float)((const uint64_t *)x)[i];
}
/* For types that round again. */
static double exact_enough(op_domain from, const void *x, int64_t i)
{
    switch (from) {
    case OP_F32:
        return (double)((const float *)x)[i];
    case OP_F64:
        return ((const double *)x)[i];
    case OP_U64:
        return op_odd_double(((const uint64_t *)x)[i], false);
    default:
        break;
    }
    const int64_t v = ((const int64_t *)x)[i];
    return op_odd_double(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}
static void to_f64(op_domain from, const void *x, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = from == OP_F32   ? (double)((const float *)x)[i]
               : from == OP_I64 ? (double)((const int64_t *)x)[i]
                                : (double)((const uint64_t *)x)[i];
}
/* Both signed and unsigned: 64 bits, of which the target takes the low ones. */
static const void *to_bits(op_domain from, const void *x, tl_type type, uint64_t *y, int64_t n)
{
    if (from == OP_I64 || from == OP_U64)
        return x;
    for (int64_t i = 0; i < n; i++) {
        const double v = from == OP_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
        y[i] = type == TL_UINT64 ? op_to_uint64(v) : (uint64_t)op_to_int64(v);
    }
    return y;
}

/* ---- By way of int32_t, which processors convert many of at once */

/* Where the elements are as int32_t; NULL for types that it does not hold, and for floats if it does not hold them all.
 */
static const int32_t *as_int32(const tl_tensor *from, int64_t at, int64_t n, int32_t *buffer)
{
    const tlk_kernels *kernels = tlk_get();
    const void *x = (const char *)from->data + op_bytes(from->type, at);
    float floats[OP_BLOCK];
    uint8_t truth[OP_BLOCK];
    switch (from->type) {
    case TL_INT8:
    case TL_UINT8:
    case TL_INT16:
    case TL_UINT16:
        kernels->whole->widen((tlk_number)op_number_of[from->type], x, buffer, n);
        return buffer;
    case TL_BOOL:
        for (int64_t i = 0; i < n; i++)
            truth[i] = ((const uint8_t *)x)[i] != 0;
        kernels->whole->widen(TLK_AS_UINT8, truth, buffer, n);
        return buffer;
    case TL_INT32:
    case TL_UINT32:
        return x;
    case TL_DOUBLE:
        return kernels->whole->truncate_doubles(x, buffer, n) ? buffer : NULL;
    case TL_FLOAT16:
    case TL_BFLOAT16:
        op_load_floats(from->type, x, floats, n);
        x = floats;
        break;
    case TL_FLOAT:
        break;
    default:
        return NULL;
    }
    return kernels->truncate(x, buffer, n) ? buffer : NULL;
}

static bool convert_by_int32(const cast *c, int64_t at, int64_t n)
{
    const tl_type from = c->x->type, to = c->y->type;
    uint64_t targets = TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T_INTEGERS | OP_T_BOOL;
    if (TL_T(from) & TL_T_FLOATS)
        targets = TL_T_INTEGERS;
    else if (from == TL_UINT32) /* the same bits, but no longer the same number */
        targets = (TL_T_INTEGERS | OP_T_BOOL) & ~(TL_T(TL_INT64) | TL_T(TL_UINT64));
    int32_t buffer[OP_BLOCK];
    const bool same = to == TL_INT32 || to == TL_UINT32;
    const int32_t *whole = targets >> to & 1 ? as_int32(c->x, at, n, same ? (int32_t *)c->y->data + at : buffer) : NULL;
    if (whole && !same)
        tlk_get()->whole->narrow((tlk_number)op_number_of[to], whole, (char *)c->y->data + op_bytes(to, at), n);
    return whole != NULL;
}

/* Integers that are floats, too, so that they are rounded but once on the way to half types. */
static bool small_integers(const tl_tensor *from, int64_t at, int64_t n, float *y)
{
    const int32_t most = 1 << 24;
    int32_t buffer[OP_BLOCK];
    const int32_t *x = buffer;
    uint64_t over = 0;
    if (from->type == TL_INT64)
        for (int64_t i = 0; i < n; i++) {
            const uint64_t v = ((const uint64_t *)from->data)[at + i];
            over |= (v + (uint64_t)most) >> 25;
            buffer[i] = (int32_t)v;
        }
    else if (TL_T(from->type) & (TL_T_INTEGERS | OP_T_BOOL) & ~(TL_T(TL_UINT32) | TL_T(TL_UINT64)))
        x = as_int32(from, at, n, buffer);
    else
        return false;
    for (int64_t i = 0; i < n && from->type == TL_INT32; i++)
        over |= ((uint32_t)x[i] + (uint32_t)most) >> 25;
    tlk_get()->whole->narrow(TLK_AS_FLOAT, x, y, n);
    return over == 0;
}

static void store_small_floats(const cast *c, op_domain from, const void *x, int64_t at, int64_t n)
{
    uint8_t *y = c->y->data;
    const tl_type type = c->y->type;
    for (int64_t i = 0; i < n; i++) {
        const unsigned bits = op_encode_small(type, exact_enough(from, x, i), c->saturate, c->round);
        if (type != TL_FLOAT4E2M1)
            y[at + i] = (uint8_t)bits;
        else if ((at + i) % 2)
            y[(at + i) / 2] |= (uint8_t)(bits << 4);
        else
            y[(at + i) / 2] = (uint8_t)bits;
    }
}

/* Elements of 4 or 2 bits; `at` is a multiple of what a byte holds. */
static void store_packed(tl_type type, const uint64_t *x, uint8_t *y, int64_t at, int64_t n)
{
    const unsigned bits = op_type_bits(type), per_byte = 8 / bits;
    for (int64_t i = 0; i < n; i++) {
        const unsigned value = (unsigned)x[i] & ((1U << bits) - 1), lane = (unsigned)((at + i) % per_byte);
        uint8_t *byte = &y[(at + i) / per_byte];
        *byte = (uint8_t)((lane ? *byte : 0U) | value << (bits * lane));
    }
}

static void halves(op_domain from, const void *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = op_odd_float(exact_enough(from, x, i));
}

/* Numbers of 8 bytes, of which those without any of these bits are false. */
static void truths(const uint64_t *x, uint64_t bits, uint8_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] & bits) != 0;
}

static void bytes_to_floats(tl_type type, const uint8_t *x, float *y, int64_t n)
{
    uint8_t truth[OP_BLOCK];
    for (int64_t i = 0; i < n && type == TL_BOOL; i++)
        truth[i] = x[i] != 0;
    tlk_get()->dequantize(type == TL_BOOL ? truth : x, 1, type == TL_INT8, y, n, n, (float[]){1}, (float[]){0});
}

static void convert_block(const cast *c, int64_t at, int64_t n)
{
    op_block in, out;
    const tl_type to = c->y->type;
    const op_domain from = op_domain_of(c->x->type);
    if (to == TL_FLOAT && (TL_T(c->x->type) & (TL_T(TL_UINT8) | TL_T(TL_INT8) | OP_T_BOOL))) {
        bytes_to_floats(c->x->type, (const uint8_t *)c->x->data + at, (float *)c->y->data + at, n);
        return;
    }
    if ((TL_T(to) & BYTES) && (TL_T(c->x->type) & BYTES)) { /* one of them is bool */
        const uint8_t *x = (const uint8_t *)c->x->data + at;
        uint8_t *y = (uint8_t *)c->y->data + at;
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] != 0;
        return;
    }
    if (convert_by_int32(c, at, n))
        return;
    if ((TL_T(to) & TL_T_HALFS) && small_integers(c->x, at, n, out.f32)) {
        op_store_block(to, c->y->data, at, n, &out);
        return;
    }
    const void *x = op_load_block(c->x->type, c->x->data, at, n, &in);
    switch (to) {
    case TL_FLOAT:
        if (from == OP_F32)
            memmove((float *)c->y->data + at, x, (size_t)n * sizeof(float));
        else
            to_f32(from, x, (float *)c->y->data + at, n);
        return;
    case TL_DOUBLE:
        to_f64(from, x, (double *)c->y->data + at, n);
        return;
    case TL_FLOAT16:
    case TL_BFLOAT16:
        if (from == OP_F32) {
            op_store_block(to, c->y->data, at, n, x);
        } else {
            halves(from, x, out.f32, n);
            op_store_block(to, c->y->data, at, n, &out);
        }
        return;
    default:
        break;
    }
    if (op_domain_of(to) == OP_F32) {
        store_small_floats(c, from, x, at, n);
        return;
    }
    if (to == TL_BOOL && from == OP_F32) {
        tlk_get()->whole->narrow(TLK_AS_FLOAT_TRUTH, x, (uint8_t *)c->y->data + at, n);
        return;
    }
    if (to == TL_BOOL) { /* -0 is false */
        truths(x, from == OP_F64 ? INT64_MAX : UINT64_MAX, (uint8_t *)c->y->data + at, n);
        return;
    }
    x = to_bits(from, x, to, out.u64, n);
    if (to == TL_INT64 || to == TL_UINT64)
        memcpy((uint64_t *)c->y->data + at, x, (size_t)n * sizeof(uint64_t));
    else if (op_type_bits(to) < 8)
        store_packed(to, x, c->y->data, at, n);
    else
        op_store_block(to, c->y->data, at, n, x);
}

static void pieces(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const cast *c = context;
    const int64_t n = op_elements(c->x);
    (void)thread;
    end = end * PIECE < n ? end * PIECE : n;
    for (int64_t at = begin * PIECE; at < end; at += OP_BLOCK)
        convert_block(c, at, end - at < OP_BLOCK ? end - at : OP_BLOCK);
}

/* ---- Text */

static tl_status run_to_text(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_string *y = call->outputs[0]->data;
    const int64_t n = op_elements(x);
    for (int64_t i = 0; i < n; i++) {
        char text[OP_TEXT_SIZE];
        const size_t size = op_number_text(x->type, x, i, text);
        char *copy = call->host->string(call, size);
        if (!copy)
            return TL_NO_MEMORY;
        memcpy(copy, text, size);
        y[i] = (tl_string){copy, size};
    }
    return TL_OK;
}

static tl_status run_from_text(tl_call *call, const cast *c)
{
    const tl_string *text = c->x->data;
    const int64_t n = op_elements(c->x);
    const op_domain domain = op_domain_of(c->y->type);
    for (int64_t at = 0; at < n; at += OP_BLOCK) {
        const int64_t m = n - at < OP_BLOCK ? n - at : OP_BLOCK;
        op_block reals, integers;
        for (int64_t i = 0; i < m; i++)
            if (!op_text_number(text[at + i], &reals.f64[i], &integers.u64[i]))
                return tl_fail(call, TL_INVALID_INPUT, "element %lld is not a number: \"%.*s\"", (long long)(at + i),
                               (int)(text[at + i].size < 40 ? text[at + i].size : 40),
                               text[at + i].size ? text[at + i].data : "");
        /* from here on it is a cast of doubles or integers */
        const bool real = domain == OP_F32 || domain == OP_F64 || c->y->type == TL_BOOL;
        const tl_tensor numbers = {.data = &reals, .type = TL_DOUBLE, .rank = 1, .dims = {m}};
        const tl_tensor whole = {.data = &integers, .type = TL_INT64, .rank = 1, .dims = {m}};
        tl_tensor part = *c->y;
        part.data = (char *)part.data + op_bytes(part.type, at);
        const cast piece = {real ? &numbers : &whole, &part, c->saturate, c->round};
        convert_block(&piece, 0, m);
    }
    return TL_OK;
}

/* ---- Operators */

/* Integers of one size wrap, so that they are but read in another way. */
static bool same_bits(tl_type from, tl_type to)
{
    return from == to ||
           ((TL_T(from) & TL_T_INTEGERS) && (TL_T(to) & TL_T_INTEGERS) && op_type_bits(from) == op_type_bits(to));
}

static tl_status run(tl_call *call, bool saturate, op_round round)
{
    const tl_tensor *x = call->inputs[0];
    cast c = {x, call->outputs[0], saturate, round};
    const int64_t n = op_elements(x), count = (n + PIECE - 1) / PIECE;
    if (same_bits(x->type, c.y->type))
        op_copy_bytes(call, c.y->data, x->data, op_bytes(x->type, n));
    else if (c.y->type == TL_STRING)
        return run_to_text(call);
    else if (x->type == TL_STRING)
        return run_from_text(call, &c);
    else if (count > 1 && call->thread_count > 1)
        call->host->parallel_for(call, pieces, &c, count, 1);
    else
        pieces(&c, 0, count, 0);
    return TL_OK;
}

static tl_status run_6(tl_call *call)
{
    return run(call, true, OP_ROUND_UP);
}
static tl_status run_19(tl_call *call)
{
    return run(call, op_int(call, "saturate") != 0, OP_ROUND_UP);
}
static tl_status run_24(tl_call *call)
{
    const char *mode = op_string(call, "round_mode");
    const op_round round = strcmp(mode, "down") == 0      ? OP_ROUND_DOWN
                           : strcmp(mode, "nearest") == 0 ? OP_ROUND_NEAREST
                                                          : OP_ROUND_UP;
    return run(call, op_int(call, "saturate") != 0, round);
}

static tl_status shape(tl_call *call, int64_t type)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    call->outputs[0]->type = (tl_type)type;
    call->view = same_bits(call->inputs[0]->type, (tl_type)type);
    return TL_OK;
}
static tl_status check_mode(const tl_call *call)
{
    const char *mode = op_string(call, "round_mode");
    if (strcmp(mode, "up") != 0 && strcmp(mode, "down") != 0 && strcmp(mode, "nearest") != 0)
        return tl_fail(call, TL_INVALID_MODEL, "round_mode is \"%s\", but must be up, down or nearest", mode);
    return TL_OK;
}

static tl_status reshape_cast(tl_call *call)
{
    const int64_t to = op_int(call, "to");
    if (to < 0 || to >= TL_TYPE_COUNT || !(T_CAST >> to & 1))
        return tl_fail(call, to > 0 && to <= 64 ? TL_UNSUPPORTED : TL_INVALID_MODEL,
                       "to is %lld, which is no type to cast to", (long long)to);
    return shape(call, to);
}
static tl_status reshape_like(tl_call *call)
{
    return shape(call, call->inputs[1]->type);
}
static tl_status reshape_cast_24(tl_call *call)
{
    tl_status status = check_mode(call);
    return status ? status : reshape_cast(call);
}
static tl_status reshape_like_24(tl_call *call)
{
    tl_status status = check_mode(call);
    return status ? status : reshape_like(call);
}

static tl_status reshape_bits(tl_call *call)
{
    const int64_t to = op_int(call, "to");
    const tl_type from = call->inputs[0]->type;
    if (to <= 0 || to >= TL_TYPE_COUNT || !(T_BITS >> to & 1))
        return tl_fail(call, to > 0 && to <= 64 && to != TL_STRING ? TL_UNSUPPORTED : TL_INVALID_MODEL,
                       "to is %lld, which is no type to cast to", (long long)to);
    if (op_type_bits(from) != op_type_bits((tl_type)to))
        return tl_fail(call, TL_INVALID_MODEL, "elements of %u bits cannot be taken for such of %u bits",
                       op_type_bits(from), op_type_bits((tl_type)to));
    op_copy_shape(call->outputs[0], call->inputs[0]);
    call->outputs[0]->type = (tl_type)to;
    /* A byte of bool must be 0 or 1, so that it cannot be just any byte. */
    call->view = to != TL_BOOL || from == TL_BOOL;
    return TL_OK;
}

static tl_status run_bits(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    if (y->type == TL_BOOL) {
        const uint8_t *from = x->data;
        uint8_t *to = y->data;
        const int64_t n = op_elements(x);
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i] != 0;
    } else {
        op_copy_bytes(call, y->data, x->data, op_bytes(x->type, op_elements(x)));
    }
    return TL_OK;
}

/* ---- Descriptors */

static const tl_param cast_ins[] = {OP_IN("input", T_CAST, 0)};
static const tl_param like_ins[] = {OP_IN("input", T_CAST, 0), OP_IN("target_type", T_CAST, 'T')};
static const tl_param cast_outs[] = {OP_IN("output", T_CAST, 0)};
static const tl_param like_outs[] = {OP_IN("output", T_CAST, 'T')};
static const tl_param bit_ins[] = {OP_IN("input", T_BITS, 0)};
static const tl_param bit_outs[] = {OP_IN("output", T_BITS, 0)};
static const tl_attribute_spec cast_6[] = {OP_REQUIRED_INT("to")};
static const tl_attribute_spec cast_19[] = {OP_REQUIRED_INT("to"), OP_INT("saturate", 1)};
static const tl_attribute_spec cast_24[] = {OP_REQUIRED_INT("to"), OP_INT("saturate", 1),
                                            OP_STRING("round_mode", "up")};
static const tl_attribute_spec like_19[] = {OP_INT("saturate", 1)};
static const tl_attribute_spec like_24[] = {OP_INT("saturate", 1), OP_STRING("round_mode", "up")};

#define OPERATOR(name, since, in_table, out_table, reshape_function, run_function, ...) \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),                                 \
                                  OP_PARAMS(input, in_table),                           \
                                  OP_PARAMS(output, out_table),                         \
                                  .reshape = (reshape_function),                        \
                                  .run = (run_function),                                \
                                  .reach = op_reach_first,                              \
                                  __VA_ARGS__};
OPERATOR(Cast, 6, cast_ins, cast_outs, reshape_cast, run_6, OP_PARAMS(attribute, cast_6))
OPERATOR(Cast, 19, cast_ins, cast_outs, reshape_cast, run_19, OP_PARAMS(attribute, cast_19))
OPERATOR(Cast, 24, cast_ins, cast_outs, reshape_cast_24, run_24, OP_PARAMS(attribute, cast_24))
OPERATOR(CastLike, 15, like_ins, like_outs, reshape_like, run_6, .flags = 0)
OPERATOR(CastLike, 19, like_ins, like_outs, reshape_like, run_19, OP_PARAMS(attribute, like_19))
OPERATOR(CastLike, 24, like_ins, like_outs, reshape_like_24, run_24, OP_PARAMS(attribute, like_24))
OPERATOR(BitCast, 26, bit_ins, bit_outs, reshape_bits, run_bits, OP_PARAMS(attribute, cast_6))
