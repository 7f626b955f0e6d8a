/* Element-wise operators against their definition, under broadcasting, on all types. */
#include <math.h>
#include <string.h>

#include "../ops_nn/support.h"
#include "common/share.h"

/* clang-format never comes to rest on this. */
/* clang-format off */
#define OPERATORS(X) \
    X(Add_6) X(Add_7) X(Sub_7) X(Mul_7) X(Div_7) X(Mod_10) X(Mod_28) X(Pow_7) X(Min_8) X(Max_8) X(Sum_8) X(Mean_8) \
    X(Less_7) X(LessOrEqual_12) X(Greater_7) X(Equal_19) X(BitwiseAnd_18) X(BitwiseOr_18) X(BitwiseXor_18) \
    X(BitShift_28) X(Where_9) X(Clip_6) X(Clip_11) X(PRelu_6) X(PRelu_7) X(Neg_6) X(Abs_6) \
    X(Relu_6) X(Swish_24) X(Celu_12) X(Gelu_20) X(Shrink_9) X(HardSwish_14) X(ThresholdedRelu_10) X(Softplus_1)
/* clang-format on */
#define DECLARE(name) extern const tl_operator tl_op_##name;
OPERATORS(DECLARE)

static const tl_type float_types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT8,
                                TL_UINT8, TL_INT32,  TL_UINT32,  TL_INT64,    TL_UINT64};

/* The element of `in` that lies under element i of `out`, by the standard's rule. */
static double under(const tl_tensor *in, const tl_tensor *out, int64_t i)
{
    int64_t at = 0, stride = 1;
    for (int32_t d = out->rank - 1; d >= 0; d--) {
        const int64_t index = i % out->dims[d];
        i /= out->dims[d];
        const int32_t own = d - (out->rank - in->rank);
        if (own < 0)
            continue;
        at += in->dims[own] == 1 ? 0 : index * stride;
        stride *= in->dims[own];
    }
    return get(in, at);
}

/* Shapes that broadcast: each axis of each input is there, or 1, or left out if it leads. */
static void random_shapes(int32_t count, tl_type type, tl_tensor *inputs)
{
    int64_t dims[6];
    const int32_t rank = (int32_t)random_int(0, 5);
    for (int32_t i = 0; i < rank; i++)
        dims[i] = random_int(0, 12) ? random_int(1, 5) : random_int(0, 1) ? 0 : 700;
    for (int32_t k = 0; k < count; k++) {
        int64_t own[6];
        const int32_t skipped = random_int(0, 2) ? 0 : (int32_t)random_int(0, rank);
        for (int32_t i = skipped; i < rank; i++)
            own[i - skipped] = random_int(0, 3) ? dims[i] : 1;
        inputs[k] = random_tensor(type, rank - skipped, own);
    }
}

typedef double (*rule)(double, double);

static double sum(double a, double b)
{
    return a + b;
}
static double difference(double a, double b)
{
    return a - b;
}
static double product(double a, double b)
{
    return a * b;
}
static double least(double a, double b)
{
    return a < b ? a : b;
}
static double most(double a, double b)
{
    return a > b ? a : b;
}
static double is_less(double a, double b)
{
    return a < b;
}
static double is_equal(double a, double b)
{
    return a == b;
}
static double parametric(double a, double b)
{
    return a < 0 ? a * b : a;
}

/* Wraps as the type does. */
static double wrapped(tl_type type, double x)
{
    switch (type) {
    case TL_INT8:
        return (double)(int8_t)(int64_t)x;
    case TL_UINT8:
        return (double)(uint8_t)(int64_t)x;
    case TL_UINT32:
        return (double)(uint32_t)(int64_t)x;
    case TL_UINT64:
        return (double)(uint64_t)(int64_t)x;
    default:
        return x;
    }
}

/* Folds all inputs with the rule; twice, with one thread and with three, which must agree bit by bit. */
static void check_rule(const tl_operator *op, rule f, int32_t count, tl_type type, bool mean)
{
    tl_tensor inputs[4];
    random_shapes(count, type, inputs);
    fake_case one = {.op = op, .input_count = (size_t)count, .threads = 1},
              three = {.op = op, .input_count = (size_t)count};
    for (int32_t k = 0; k < count; k++)
        one.inputs[k] = three.inputs[k] = &inputs[k];
    run_ok(&one);
    run_ok(&three);
    const tl_tensor *out = &one.outputs[0];
    ck_assert_mem_eq(out->data, three.outputs[0].data, fake_bytes(out));
    double *want = malloc((size_t)(elements(out) + 1) * sizeof *want);
    for (int64_t i = 0; i < elements(out); i++) {
        want[i] = under(&inputs[0], out, i);
        for (int32_t k = 1; k < count; k++)
            want[i] = f(want[i], under(&inputs[k], out, i));
        want[i] = out->type == type ? wrapped(type, mean ? want[i] / count : want[i]) : want[i];
    }
    assert_near(out, want, 1, op->name);
    free(want);
    fake_free(&one);
    fake_free(&three);
    for (int32_t k = 0; k < count; k++)
        free_tensor(&inputs[k]);
}

START_TEST(broadcasting)
{
    random_seed(11);
    for (int round = 0; round < 20 / TEST_SHARE; round++)
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            check_rule(&tl_op_Add_7, sum, 2, types[t], false);
            check_rule(&tl_op_Sub_7, difference, 2, types[t], false);
            check_rule(&tl_op_Mul_7, product, 2, types[t], false);
            check_rule(&tl_op_Less_7, is_less, 2, types[t], false);
            check_rule(&tl_op_Equal_19, is_equal, 2, types[t], false);
        }
}
END_TEST

START_TEST(variadic)
{
    random_seed(12);
    for (int round = 0; round < 15 / TEST_SHARE; round++)
        for (int32_t count = 1; count <= 4; count++)
            for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
                check_rule(&tl_op_Min_8, least, count, types[t], false);
                check_rule(&tl_op_Max_8, most, count, types[t], false);
                if (!(TL_T(types[t]) & TL_T_FLOATS))
                    continue;
                check_rule(&tl_op_Sum_8, sum, count, types[t], false);
                check_rule(&tl_op_Mean_8, sum, count, types[t], true);
            }
}
END_TEST

/* Two lists to one, of the element types' C types. */
#define TWO(name, T, type_of, attrs, ...)                                                            \
    do {                                                                                             \
        static const T table[][3] = {__VA_ARGS__};                                                   \
        const int64_t n = sizeof table / sizeof table[0];                                            \
        tl_tensor a = new_tensor(type_of, 1, &n), b = new_tensor(type_of, 1, &n);                    \
        for (int64_t i = 0; i < n; i++) {                                                            \
            ((T *)a.data)[i] = table[i][0];                                                          \
            ((T *)b.data)[i] = table[i][1];                                                          \
        }                                                                                            \
        fake_case test = {.op = &tl_op_##name,                                                       \
                          .inputs = {&a, &b},                                                        \
                          .input_count = 2,                                                          \
                          .attributes = attrs,                                                       \
                          .attribute_count = sizeof(attrs) / sizeof((attrs)[0])};                    \
        run_ok(&test);                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                            \
            const T have = ((const T *)test.outputs[0].data)[i], want = table[i][2];                 \
            const bool same_sign = !signbit((double)have) == !signbit((double)want);                 \
            ck_assert_msg((have == want && same_sign) || (have != have && want != want),             \
                          #name " of row %d: %.17g, not %.17g", (int)i, (double)have, (double)want); \
        }                                                                                            \
        fake_free(&test);                                                                            \
        free_tensor(&a);                                                                             \
        free_tensor(&b);                                                                             \
    } while (0)

/* one that no operator asks for */
static const fake_attribute none[] = {ATTR_I("", 0)};

START_TEST(integer_corners)
{
    TWO(Div_7, int32_t, TL_INT32, none, {7, 2, 3}, {-7, 2, -3}, {7, -2, -3}, {5, 0, 0}, {INT32_MIN, -1, INT32_MIN});
    TWO(Div_7, int64_t, TL_INT64, none, {INT64_MIN, -1, INT64_MIN}, {INT64_MIN, 0, 0}, {-9, 4, -2});
    TWO(Div_7, uint64_t, TL_UINT64, none, {UINT64_MAX, 2, UINT64_MAX / 2}, {1, 0, 0});
    TWO(Add_7, int32_t, TL_INT32, none, {INT32_MAX, 1, INT32_MIN}, {INT32_MIN, -1, INT32_MAX});
    TWO(Mul_7, int64_t, TL_INT64, none, {INT64_MAX, 2, -2}, {INT64_MIN, -1, INT64_MIN});
    TWO(Mod_10, int32_t, TL_INT32, none, {7, 3, 1}, {-7, 3, 2}, {7, -3, -2}, {-7, -3, -1}, {6, 3, 0}, {-6, 3, 0},
        {5, 0, 0}, {INT32_MIN, -1, 0});
    const fake_attribute fmod_on[] = {ATTR_I("fmod", 1)};
    TWO(Mod_10, int64_t, TL_INT64, fmod_on, {7, 3, 1}, {-7, 3, -1}, {7, -3, 1}, {INT64_MIN, -1, 0}, {5, 0, 0});
    TWO(Pow_7, int64_t, TL_INT64, none, {2, 10, 1024}, {-2, 3, -8}, {0, 0, 1}, {2, -1, 0}, {-1, -3, -1},
        {1, INT64_MIN, 1}, {3, 41, INT64_C(-420491770248316829)}, {0, -1, 0});
    TWO(Max_8, uint64_t, TL_UINT64, none, {UINT64_MAX, 1, UINT64_MAX}, {0, 5, 5});
    const fake_attribute left[] = {ATTR_S("direction", "LEFT")}, right[] = {ATTR_S("direction", "RIGHT")};
    TWO(BitShift_28, int8_t, TL_INT8, left, {1, 7, -128}, {3, 8, 0}, {-1, -1, 0}, {-1, 1, -2}, {127, 1, -2});
    TWO(BitShift_28, int8_t, TL_INT8, right, {-128, 7, -1}, {-5, 1, -3}, {-1, 100, -1}, {-1, -1, -1}, {100, 8, 0},
        {5, 1, 2});
    TWO(BitShift_28, uint64_t, TL_UINT64, right, {UINT64_MAX, 63, 1}, {UINT64_MAX, 64, 0}, {8, 3, 1});
}
END_TEST

static int64_t quotient_or_0(int64_t a, int64_t b)
{
    return b == 0 ? 0 : a / b;
}

static int64_t remainder_of(int64_t a, int64_t b, bool floored)
{
    const int64_t r = a - b * quotient_or_0(a, b);
    return b == 0 ? 0 : floored && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* What is left of a number in an integer type of at most 32 bits. */
static int64_t in_type(tl_type type, int64_t value)
{
    switch (type) {
    case TL_INT8:
        return (int8_t)value;
    case TL_UINT8:
        return (uint8_t)value;
    case TL_INT16:
        return (int16_t)value;
    case TL_UINT16:
        return (uint16_t)value;
    case TL_INT32:
        return (int32_t)value;
    default:
        return (uint32_t)value;
    }
}

static void check_quotients(const tl_operator *op, tl_type type, const tl_tensor *a, const tl_tensor *b, bool fmod)
{
    const fake_attribute attributes[] = {ATTR_I("fmod", fmod)};
    fake_case test = {
        .op = op, .inputs = {a, b}, .input_count = 2, .attributes = attributes, .attribute_count = op == &tl_op_Mod_10};
    run_ok(&test);
    for (int64_t i = 0; i < elements(a); i++) {
        const int64_t u = (int64_t)get(a, i), v = (int64_t)get(b, i);
        const int64_t want = op == &tl_op_Div_7 ? quotient_or_0(u, v) : remainder_of(u, v, !fmod);
        const int64_t have = (int64_t)get(&test.outputs[0], i);
        if (have != in_type(type, want)) /* an assertion each would take seconds */
            ck_abort_msg("%s of %lld and %lld is %lld", op->name, (long long)u, (long long)v, (long long)have);
    }
    fake_free(&test);
}

/* All bytes by all bytes, and 32 bits next to where quotients change. */
START_TEST(quotients)
{
    tl_tensor a = new_tensor(TL_UINT8, DIMS(256, 256)), b = new_tensor(TL_UINT8, DIMS(256, 256));
    tl_tensor c = new_tensor(TL_INT32, DIMS(5003)), d = new_tensor(TL_INT32, DIMS(5003));
    random_seed(31);
    for (int64_t i = 0; i < elements(&a); i++) {
        const int64_t u = i / 256, v = i % 256;
        set(&a, i, (double)u);
        set(&b, i, (double)v);
    }
    for (int64_t i = 0; i < elements(&c); i++) {
        static const int32_t corners[] = {INT32_MIN, INT32_MIN + 1, -2, -1, 0, 1, 2, INT32_MAX - 1, INT32_MAX};
        const int64_t v =
            random_int(0, 3) ? random_int(-INT32_MAX, INT32_MAX) >> random_int(0, 31) : corners[random_int(0, 8)];
        const int64_t u = v * random_int(-INT32_MAX, INT32_MAX) + random_int(-1, 1);
        set(&c, i, (double)(random_int(0, 3) ? (int32_t)(uint32_t)u : corners[random_int(0, 8)]));
        set(&d, i, (double)v);
    }
    tl_tensor e = new_tensor(TL_INT8, DIMS(256, 256)), f = new_tensor(TL_INT8, DIMS(256, 256));
    tl_tensor g = new_tensor(TL_INT16, DIMS(64, 64)), h = new_tensor(TL_INT16, DIMS(64, 64));
    for (int64_t i = 0; i < elements(&e); i++) {
        set(&e, i, (double)(i / 256 - 128));
        set(&f, i, (double)(i % 256 - 128));
    }
    for (int64_t i = 0; i < elements(&g); i++) {
        set(&g, i, (double)((i / 64 - 32) * 1024));
        set(&h, i, (double)(i % 64 - 32));
    }
    for (int fmod = 0; fmod < 2; fmod++) {
        check_quotients(&tl_op_Mod_10, TL_UINT8, &a, &b, fmod != 0);
        check_quotients(&tl_op_Mod_10, TL_INT8, &e, &f, fmod != 0);
        check_quotients(&tl_op_Mod_10, TL_INT16, &g, &h, fmod != 0);
        check_quotients(&tl_op_Mod_10, TL_INT32, &c, &d, fmod != 0);
    }
    check_quotients(&tl_op_Div_7, TL_UINT8, &a, &b, false);
    check_quotients(&tl_op_Div_7, TL_INT32, &c, &d, false);
    check_quotients(&tl_op_Div_7, TL_INT8, &e, &f, false);
    check_quotients(&tl_op_Div_7, TL_INT16, &g, &h, false);
    free_tensor(&e);
    free_tensor(&f);
    free_tensor(&g);
    free_tensor(&h);
    free_tensor(&a);
    free_tensor(&b);
    free_tensor(&c);
    free_tensor(&d);
}
END_TEST

enum { ADD, SUB, MUL, AND, OR, XOR, MIN, MAX, LESS, LESS_OR_EQUAL, GREATER, EQUAL, ABS, NEG };
static const tl_operator *const integer_operators[] = {
    [ADD] = &tl_op_Add_7,         [SUB] = &tl_op_Sub_7,
    [MUL] = &tl_op_Mul_7,         [AND] = &tl_op_BitwiseAnd_18,
    [OR] = &tl_op_BitwiseOr_18,   [XOR] = &tl_op_BitwiseXor_18,
    [MIN] = &tl_op_Min_8,         [MAX] = &tl_op_Max_8,
    [LESS] = &tl_op_Less_7,       [LESS_OR_EQUAL] = &tl_op_LessOrEqual_12,
    [GREATER] = &tl_op_Greater_7, [EQUAL] = &tl_op_Equal_19,
    [ABS] = &tl_op_Abs_6,         [NEG] = &tl_op_Neg_6};

static int64_t integer_rule(size_t what, int64_t a, int64_t b)
{
    switch (what) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case AND:
        return a & b;
    case OR:
        return a | b;
    case XOR:
        return a ^ b;
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case LESS:
        return a < b;
    case LESS_OR_EQUAL:
        return a <= b;
    case GREATER:
        return a > b;
    case EQUAL:
        return a == b;
    case ABS:
        return a < 0 ? -a : a;
    default:
        return -a;
    }
}

/* All bytes by all bytes, signed or not; and 32 bits of which the same bytes are the highest. */
START_TEST(wrapping)
{
    static const struct {
        tl_type type;
        int64_t side, from, unit;
    } of[] = {{TL_INT8, 256, -128, 1},  {TL_UINT8, 256, 0, 1},          {TL_INT16, 64, -32, 1024},
              {TL_UINT16, 64, 0, 1040}, {TL_INT32, 256, -128, 1 << 24}, {TL_UINT32, 64, 0, 0x4104104}};
    for (size_t t = 0; t < 6; t++) {
        const tl_type type = of[t].type;
        const int64_t side = of[t].side;
        tl_tensor a = new_tensor(type, DIMS(side, side)), b = new_tensor(type, DIMS(side, side));
        for (int64_t i = 0; i < elements(&a); i++) {
            set(&a, i, (double)((of[t].from + i / side) * of[t].unit));
            set(&b, i, (double)((of[t].from + i % side) * of[t].unit));
        }
        for (size_t k = 0; k < sizeof integer_operators / sizeof integer_operators[0] - (of[t].from == 0); k++) {
            fake_case test = {
                .op = integer_operators[k], .inputs = {&a, k >= ABS ? NULL : &b}, .input_count = k >= ABS ? 1 : 2};
            run_ok(&test);
            for (int64_t i = 0; i < elements(&a); i++) {
                const int64_t u = (int64_t)get(&a, i), v = (int64_t)get(&b, i), want = integer_rule(k, u, v);
                const int64_t have = (int64_t)get(&test.outputs[0], i);
                if (have != in_type(type, want))
                    ck_abort_msg("%s of %lld and %lld is %lld", test.op->name, (long long)u, (long long)v,
                                 (long long)have);
            }
            fake_free(&test);
        }
        free_tensor(&a);
        free_tensor(&b);
    }
}
END_TEST

START_TEST(float_remainders)
{
    const float inf = INFINITY, nan = NAN;
    TWO(Mod_28, float, TL_FLOAT, none, {5.5F, 2, 1.5F}, {-5.5F, 2, 0.5F}, {5.5F, -2, -0.5F}, {-4, 2, 0.0F},
        {4, -2, -0.0F}, {0.0F, -3, -0.0F}, {-0.0F, 3, 0.0F}, {inf, 2, nan}, {2, 0, nan}, {3, inf, 3}, {-3, inf, inf},
        {3, -inf, -inf}, {nan, 1, nan}, {1, nan, nan});
    const fake_attribute fmod_on[] = {ATTR_I("fmod", 1)};
    TWO(Mod_10, double, TL_DOUBLE, fmod_on, {5.5, 2, 1.5}, {-5.5, 2, -1.5}, {5.5, -2, 1.5}, {3, (double)INFINITY, 3});
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(3));
    fake_case test = {.op = &tl_op_Mod_10, .inputs = {&x, &x}, .input_count = 2};
    run_fails(&test, TL_INVALID_MODEL, "fmod is 0");
    free_tensor(&x);
}
END_TEST

/* Remainders are exact: of any quotients, and next to whole ones. */
START_TEST(any_remainders)
{
    const fake_attribute attributes[] = {ATTR_I("fmod", 1)};
    random_seed(33);
    for (int double_width = 0; double_width < 2; double_width++) {
        const int most = double_width ? 1020 : 120;
        tl_tensor a = new_tensor(double_width ? TL_DOUBLE : TL_FLOAT, DIMS(20011)), b = new_tensor(a.type, DIMS(20011));
        for (int64_t i = 0; i < elements(&a); i++) {
            const double digits = 1 + (random_bits() + random_bits() * 0x1p-32) * 0x1p-32;
            const int scale = (int)random_int(-most, most - 60);
            set(&b, i, ldexp(random_int(0, 1) ? digits : -digits, scale));
            const double times = random_int(0, 1) ? (double)(random_bits() >> random_int(0, 31)) + 1
                                                  : ldexp(1 + random_bits() * 0x1p-32, (int)random_int(-3, 59));
            set(&a, i, get(&b, i) * times);
            if (random_int(0, 1))
                set(&a, i, nextafter(get(&a, i), random_int(0, 1) ? INFINITY : -INFINITY));
        }
        fake_case test = {
            .op = &tl_op_Mod_10, .inputs = {&a, &b}, .input_count = 2, .attributes = attributes, .attribute_count = 1};
        run_ok(&test);
        for (int64_t i = 0; i < elements(&a); i++) {
            const double have = get(&test.outputs[0], i), want = fmod(get(&a, i), get(&b, i));
            if (have != want || signbit(have) != signbit(want))
                ck_abort_msg("Mod of %a and %a is %a, not %a", get(&a, i), get(&b, i), have, want);
        }
        fake_free(&test);
        free_tensor(&a);
        free_tensor(&b);
    }
}
END_TEST

START_TEST(legacy_broadcasting)
{
    static const struct {
        int64_t b[3];
        int32_t rank, axis;
    } cases[] = {{{4}, 1, 2}, {{3, 4}, 2, 1}, {{2}, 1, 0}, {{2, 3}, 2, 0}, {{3}, 1, 1}, {{1, 1}, 2, 1}, {{0}, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        tl_tensor a = random_tensor(TL_FLOAT, DIMS(2, 3, 4)), b = random_tensor(TL_FLOAT, cases[k].rank, cases[k].b);
        const fake_attribute attributes[] = {ATTR_I("broadcast", 1), ATTR_I("axis", cases[k].axis)};
        fake_case test = {
            .op = &tl_op_Add_6, .inputs = {&a, &b}, .input_count = 2, .attributes = attributes, .attribute_count = 2};
        run_ok(&test);
        double want[24];
        tl_tensor placed = b;
        placed.rank = cases[k].rank ? 3 - cases[k].axis : 0;
        for (int32_t i = cases[k].rank; i < placed.rank; i++)
            placed.dims[i] = 1;
        for (int64_t i = 0; i < 24; i++)
            want[i] = get(&a, i) + under(&placed, &a, i);
        assert_near(&test.outputs[0], want, 1, "Add 6");
        fake_free(&test);
        test.attribute_count = 0;
        run_fails(&test, cases[k].rank == 3 ? TL_OK : TL_INVALID_MODEL, "broadcast is 0");
        free_tensor(&a);
        free_tensor(&b);
    }
    tl_tensor a = random_tensor(TL_FLOAT, DIMS(2, 3)), b = random_tensor(TL_FLOAT, DIMS(3, 2));
    const fake_attribute wrong[] = {ATTR_I("broadcast", 1), ATTR_I("axis", 1)};
    fake_case test = {
        .op = &tl_op_Add_6, .inputs = {&a, &b}, .input_count = 2, .attributes = wrong, .attribute_count = 2};
    run_fails(&test, TL_INVALID_MODEL, "axis 1");
    test.attribute_count = 1;
    run_fails(&test, TL_INVALID_INPUT, "does not fit");
    free_tensor(&a);
    free_tensor(&b);
}
END_TEST

START_TEST(where)
{
    random_seed(13);
    for (int round = 0; round < 200 / TEST_SHARE; round++) {
        tl_tensor inputs[3];
        random_shapes(3, types[round % 10], inputs);
        free(inputs[0].data);
        inputs[0] = new_tensor(TL_BOOL, inputs[0].rank, inputs[0].dims);
        for (int64_t i = 0; i < elements(&inputs[0]); i++)
            set(&inputs[0], i, (double)random_int(0, 1));
        fake_case test = {.op = &tl_op_Where_9, .inputs = {&inputs[0], &inputs[1], &inputs[2]}, .input_count = 3};
        run_ok(&test);
        const tl_tensor *out = &test.outputs[0];
        for (int64_t i = 0; i < elements(out); i++)
            ck_assert(get(out, i) == under(&inputs[under(&inputs[0], out, i) != 0 ? 1 : 2], out, i));
        fake_free(&test);
        for (int k = 0; k < 3; k++)
            free_tensor(&inputs[k]);
    }
}
END_TEST

/* Rows longer than a block, each operand moving or standing. */
START_TEST(where_rows)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int moving = 0; moving < 8; moving++) {
            tl_tensor inputs[3];
            for (int k = 0; k < 3; k++) {
                inputs[k] = random_tensor(types[t], DIMS(3, moving >> k & 1 ? 1100 : 1));
                if (k == 0) {
                    free(inputs[0].data);
                    inputs[0] = new_tensor(TL_BOOL, inputs[0].rank, inputs[0].dims);
                    for (int64_t i = 0; i < elements(&inputs[0]); i++) /* any byte but 0 is true */
                        ((uint8_t *)inputs[0].data)[i] = (uint8_t)(i % 3 * 2);
                }
            }
            fake_case test = {.op = &tl_op_Where_9, .inputs = {&inputs[0], &inputs[1], &inputs[2]}, .input_count = 3};
            run_ok(&test);
            const tl_tensor *out = &test.outputs[0];
            const int64_t n = out->dims[1];
            for (int64_t i = 0; i < elements(out); i++) {
                const int64_t at[3] = {moving & 1 ? i : i / n, moving & 2 ? i : i / n, moving & 4 ? i : i / n};
                const int chosen = ((uint8_t *)inputs[0].data)[at[0]] ? 1 : 2;
                ck_assert(get(out, i) == get(&inputs[chosen], at[chosen]));
            }
            fake_free(&test);
            for (int k = 0; k < 3; k++)
                free_tensor(&inputs[k]);
        }
}
END_TEST

START_TEST(clip)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int given = 0; given < 4; given++) {
            tl_tensor x = random_tensor(types[t], DIMS(7, 300)), low = new_tensor(types[t], 0, NULL),
                      high = new_tensor(types[t], 0, NULL);
            const bool real = (TL_T(types[t]) & TL_T_FLOATS) != 0;
            set(&low, 0, real ? -0.25 : 20);
            set(&high, 0, real ? 0.5 : 70);
            fake_case test = {.op = &tl_op_Clip_11,
                              .input_count = 3,
                              .inputs = {&x, given & 1 ? &low : NULL, given & 2 ? &high : NULL}};
            run_ok(&test);
            for (int64_t i = 0; i < elements(&x); i++) {
                double want = get(&x, i);
                want = given & 1 && want < get(&low, 0) ? get(&low, 0) : want;
                want = given & 2 && want > get(&high, 0) ? get(&high, 0) : want;
                ck_assert(get(&test.outputs[0], i) == want);
            }
            fake_free(&test);
            free_tensor(&x);
            free_tensor(&low);
            free_tensor(&high);
        }
    /* max wins where the two cross, and NaN stays */
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(3)), low = new_tensor(TL_FLOAT, 0, NULL),
              high = new_tensor(TL_FLOAT, 0, NULL);
    memcpy(x.data, (const float[]){-5, NAN, 9}, 12);
    set(&low, 0, 3);
    set(&high, 0, 1);
    fake_case test = {.op = &tl_op_Clip_11, .inputs = {&x, &low, &high}, .input_count = 3};
    run_ok(&test);
    assert_near(&test.outputs[0], (const double[]){1, (double)NAN, 1}, 0, "Clip");
    fake_free(&test);
    tl_tensor list = random_tensor(TL_FLOAT, DIMS(2));
    test.inputs[1] = &list;
    run_fails(&test, TL_INVALID_INPUT, "must be a scalar");
    const fake_attribute attributes[] = {ATTR_F("min", -1), ATTR_F("max", 2)};
    fake_case old = {
        .op = &tl_op_Clip_6, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 2};
    run_ok(&old);
    assert_near(&old.outputs[0], (const double[]){-1, (double)NAN, 2}, 0, "Clip 6");
    fake_free(&old);
    free_tensor(&x);
    free_tensor(&low);
    free_tensor(&high);
    free_tensor(&list);
}
END_TEST

START_TEST(prelu)
{
    random_seed(14);
    for (size_t t = 0; t < 4; t++)
        for (int shape = 0; shape < 4; shape++) {
            tl_tensor x = random_tensor(float_types[t], DIMS(2, 5, 9));
            tl_tensor slope = shape == 0   ? random_tensor(float_types[t], DIMS(5, 1))
                              : shape == 1 ? random_tensor(float_types[t], DIMS(1))
                              : shape == 2 ? random_tensor(float_types[t], DIMS(2, 5, 9))
                                           : random_tensor(float_types[t], DIMS(5));
            tl_tensor placed = slope;
            if (shape == 3) { /* version 6: of the channels */
                placed.rank = 2;
                placed.dims[1] = 1;
            }
            fake_case test = {
                .op = shape == 3 ? &tl_op_PRelu_6 : &tl_op_PRelu_7, .inputs = {&x, &slope}, .input_count = 2};
            run_ok(&test);
            double want[90];
            for (int64_t i = 0; i < 90; i++)
                want[i] = parametric(get(&x, i), under(&placed, &x, i));
            assert_near(&test.outputs[0], want, 1, "PRelu");
            fake_free(&test);
            if (shape == 3) {
                test.op = &tl_op_PRelu_7;
                run_fails(&test, TL_INVALID_INPUT, "does not broadcast");
            }
            free_tensor(&x);
            free_tensor(&slope);
        }
}
END_TEST

typedef struct one {
    const tl_operator *op;
    double (*rule)(double);
    double low, high;
} one;

static double negative(double x)
{
    return -x;
}
static double relu(double x)
{
    return x < 0 ? 0 : x;
}
static double hard_swish(double x)
{
    return x * fmin(1, fmax(0, x / 6 + 0.5));
}
static double thresholded(double x)
{
    return x > 1 ? x : 0;
}
static double shrunk(double x)
{
    return x < -0.5 || x > 0.5 ? x : 0;
}
static double swish(double x)
{
    return x / (1 + exp(-x));
}
static double celu(double x)
{
    return x < 0 ? expm1(x) : x;
}
static double gelu(double x)
{
    return x / 2 * erfc(-x / sqrt(2));
}
static double softplus(double x)
{
    return log1p(exp(-fabs(x))) + (x > 0 ? x : 0);
}

START_TEST(single_operand)
{
    static const one ones[] = {{&tl_op_Neg_6, negative, -1e4, 1e4}, {&tl_op_Abs_6, fabs, -1e4, 1e4},
                               {&tl_op_Relu_6, relu, -1e4, 1e4},    {&tl_op_HardSwish_14, hard_swish, -8, 8},
                               {&tl_op_Swish_24, swish, -30, 30},   {&tl_op_Celu_12, celu, -20, 20},
                               {&tl_op_Gelu_20, gelu, -6, 6},       {&tl_op_Softplus_1, softplus, -50, 50},
                               {&tl_op_Shrink_9, shrunk, -2, 2},    {&tl_op_ThresholdedRelu_10, thresholded, -4, 4}};
    random_seed(15);
    for (size_t k = 0; k < sizeof ones / sizeof ones[0]; k++)
        for (size_t t = 0; t < 4; t++)
            for (int64_t n = 0; n < (t < 2 ? 100000 : 10000); n = n < 40 ? n + 13 : n * 37) {
                tl_tensor x = random_tensor(float_types[t], 1, &n);
                double *want = malloc((size_t)(n + 1) * sizeof *want);
                for (int64_t i = 0; i < n; i++) {
                    set(&x, i, ones[k].low + (random_real() + 1) / 2 * (ones[k].high - ones[k].low));
                    want[i] = ones[k].rule(get(&x, i));
                }
                fake_case test = {.op = ones[k].op, .inputs = {&x}, .input_count = 1};
                run_ok(&test);
                assert_near(&test.outputs[0], want, t < 2 ? 1e-6 : 1e-3, ones[k].op->name);
                fake_free(&test);
                free(want);
                free_tensor(&x);
            }
}
END_TEST

/* Finite inputs, however large, give no NaN. The largest are finite in bfloat16, too. */
START_TEST(nothing_overflows)
{
    static const tl_operator *const ops[] = {&tl_op_Swish_24, &tl_op_Celu_12, &tl_op_Gelu_20, &tl_op_Softplus_1,
                                             &tl_op_HardSwish_14};
    static const double values[] = {-3.38e38, -65504, -1000, -104, -88, 88, 89, 104, 1000, 65504, 3.38e38};
    const int64_t n = sizeof values / sizeof values[0];
    for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++)
        for (size_t t = 0; t < 4; t++) {
            tl_tensor x = new_tensor(float_types[t], 1, &n);
            for (int64_t i = 0; i < n; i++)
                set(&x, i, fabs(values[i]) > 65504 && float_types[t] == TL_FLOAT16 ? 1 : values[i]);
            fake_case test = {.op = ops[k], .inputs = {&x}, .input_count = 1};
            run_ok(&test);
            for (int64_t i = 0; i < n; i++)
                ck_assert_msg(!isnan(get(&test.outputs[0], i)), "%s(%g) is NaN", ops[k]->name, get(&x, i));
            fake_free(&test);
            free_tensor(&x);
        }
}
END_TEST

START_TEST(strings)
{
    static const tl_string left[] = {{"a", 1}, {"ab", 2}, {NULL, 0}}, right[] = {{"a", 1}};
    tl_tensor a = {.data = (void *)(uintptr_t)left, .type = TL_STRING, .rank = 1, .dims = {3}},
              b = {.data = (void *)(uintptr_t)right, .type = TL_STRING, .rank = 1, .dims = {1}};
    fake_case test = {.op = &tl_op_Equal_19, .inputs = {&a, &b}, .input_count = 2};
    run_ok(&test);
    ck_assert_mem_eq(test.outputs[0].data, "\1\0\0", 3);
    fake_free(&test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elementwise");
    ADD_TEST(suite, broadcasting);
    ADD_TEST(suite, variadic);
    ADD_TEST(suite, integer_corners);
    ADD_TEST(suite, quotients);
    ADD_TEST(suite, wrapping);
    ADD_TEST(suite, float_remainders);
    ADD_TEST(suite, any_remainders);
    ADD_TEST(suite, legacy_broadcasting);
    ADD_TEST(suite, where);
    ADD_TEST(suite, where_rows);
    ADD_TEST(suite, clip);
    ADD_TEST(suite, prelu);
    ADD_TEST(suite, single_operand);
    ADD_TEST(suite, nothing_overflows);
    ADD_TEST(suite, strings);
    return run_suite(suite);
}
