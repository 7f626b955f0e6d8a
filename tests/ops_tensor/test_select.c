/* TopK, Unique, NonZero, Compress, OneHot, Range, Trilu, EyeLike. */
#include "tensors.h"
#include <math.h>

OPERATOR(TopK, 11);
OPERATOR(Unique, 11);
OPERATOR(NonZero, 9);
OPERATOR(Compress, 9);
OPERATOR(OneHot, 9);
OPERATOR(Range, 11);
OPERATOR(Range, 27);
OPERATOR(Trilu, 14);
OPERATOR(EyeLike, 9);

static const tl_type numbers[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT8,
                                  TL_UINT8, TL_INT32,  TL_UINT32,  TL_INT64,    TL_UINT64};

/* Whether a stands before b among the largest (or smallest): NaN is above all, equal ones go by index. */
static bool before(double a, double b, bool largest)
{
    if (isnan(a) || isnan(b))
        return isnan(a) != isnan(b) && isnan(a) == largest;
    return largest ? a > b : a < b;
}

START_TEST(top_k_any)
{
    random_seed(21);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(1, 3);
        int64_t dims[3], axis = random_int(0, rank - 1), largest = round & 1;
        const int64_t range = random_int(0, 1) ? 4 : 100;
        random_dims(rank, 1, round % 4 ? 12 : 3, dims);
        if (round % 4 == 0)
            dims[random_int(0, rank - 1)] = random_int(60, 400);
        tl_tensor x = random_tensor(numbers[round % COUNT(numbers)], rank, dims);
        for (int64_t i = 0; i < elements(&x); i++) /* many equal ones, of both signs */
            set(&x, i, (double)random_int(TL_T(x.type) & TL_T_UNSIGNED ? 0 : -range, range));
        if (x.type == TL_FLOAT || x.type == TL_DOUBLE)
            set(&x, 0, random_int(0, 1) ? NAN : -0.0);
        tl_tensor k = int64_list(1, (int64_t[]){random_int(0, round % 8 ? dims[axis] : (dims[axis] + 15) / 16)});
        fake_attribute attributes[] = {ATTR_I("axis", axis), ATTR_I("largest", largest)};
        fake_case test = CASE(&tl_op_TopK_11, attributes, &x, &k);
        test.constant = round % 3 ? UINT64_MAX : 0;
        run_ok(&test);
        for (int64_t i = 0; i < elements(&test.outputs[0]); i++) {
            int64_t at[3], better = 0;
            coordinates(&test.outputs[0], i, at);
            int64_t place = at[axis], index = (int64_t)get(&test.outputs[1], i);
            at[axis] = index;
            double value = get(&x, index_of(&x, at));
            ck_assert(same_element(&test.outputs[0], i, &x, index_of(&x, at)));
            /* As many stand before it as its place says. */
            for (int64_t j = 0; j < dims[axis]; j++) {
                at[axis] = j;
                double other = get(&x, index_of(&x, at));
                better += before(other, value, largest) || (!before(value, other, largest) && j < index);
            }
            ck_assert_int_eq(better, place);
        }
        fake_free(&test);
        free_tensor(&x);
        free_tensor(&k);
    }
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(3)), k = int64_list(1, (int64_t[]){4});
    fake_case test = PLAIN_CASE(&tl_op_TopK_11, &x, &k);
    run_fails(&test, TL_INVALID_INPUT, "K is 4");
    *(int64_t *)k.data = INT64_MIN;
    run_fails(&test, TL_INVALID_INPUT, "K is -");
    free_tensor(&x);
    free_tensor(&k);
}
END_TEST

/* Whether slices a and b along the axis (-1: elements) are equal. */
static bool equal_slices(const tl_tensor *x, int64_t axis, int64_t a, int64_t b)
{
    if (axis < 0)
        return same_element(x, a, x, b);
    for (int64_t i = 0; i < elements(x); i++) {
        int64_t at[3];
        coordinates(x, i, at);
        if (at[axis] != a)
            continue;
        at[axis] = b;
        if (!same_element(x, i, x, index_of(x, at)))
            return false;
    }
    return true;
}

START_TEST(unique_any)
{
    random_seed(22);
    for (int round = 0; round < 200; round++) {
        int32_t rank = (int32_t)random_int(1, 3);
        int64_t dims[3], axis = random_int(-1, rank - 1);
        random_dims(rank, round % 10 ? 1 : 0, 5, dims);
        tl_tensor x = random_tensor(numbers[round % COUNT(numbers)], rank, dims);
        for (int64_t i = 0; i < elements(&x); i++)
            set(&x, i, (double)random_int(0, axis < 0 ? 9 : 1));
        fake_attribute with_axis[] = {ATTR_I("sorted", round & 1), ATTR_I("axis", axis)};
        fake_case test = new_case(&tl_op_Unique_11, with_axis, axis < 0 ? 1 : 2, (const tl_tensor *[]){&x}, 1);
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0], *first = &test.outputs[1], *inverse = &test.outputs[2];
        int64_t n = axis < 0 ? elements(&x) : dims[axis], count = first->dims[0];
        ck_assert_int_eq(y->dims[axis < 0 ? 0 : axis], count);
        ck_assert_int_eq(inverse->dims[0], n);
        for (int64_t i = 0; i < n; i++) {
            int64_t group = (int64_t)get(inverse, i), origin = (int64_t)get(first, group), same = 0;
            ck_assert(equal_slices(&x, axis, i, origin));
            for (int64_t j = 0; j < n; j++) {
                same += equal_slices(&x, axis, i, j);
                ck_assert(!equal_slices(&x, axis, i, j) || j >= origin); /* origin is the first of them */
            }
            ck_assert_int_eq((int64_t)get(&test.outputs[3], group), same);
        }
        for (int64_t g = 1; g < count; g++) {
            ck_assert(!equal_slices(&x, axis, (int64_t)get(first, g), (int64_t)get(first, g - 1)));
            if (!(round & 1))
                ck_assert(get(first, g) > get(first, g - 1));
            else if (axis < 0)
                ck_assert(get(y, g) > get(y, g - 1));
        }
        for (int64_t i = 0; i < elements(y); i++) {
            int64_t at[3];
            coordinates(y, i, at);
            at[axis < 0 ? 0 : axis] = (int64_t)get(first, at[axis < 0 ? 0 : axis]);
            ck_assert(same_element(y, i, &x, axis < 0 ? at[0] : index_of(&x, at)));
        }
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(nonzero_and_compress)
{
    random_seed(23);
    for (int round = 0; round < 200; round++) {
        int32_t rank = (int32_t)random_int(1, 3);
        int64_t dims[3], axis = random_int(0, rank - 1), count = 0;
        random_dims(rank, round % 10 ? 1 : 0, 5, dims);
        tl_tensor x = random_tensor(numbers[round % COUNT(numbers)], rank, dims);
        for (int64_t i = 0; i < elements(&x); i++)
            set(&x, i, random_int(0, 1) ? 0 : 2);
        fake_case test = PLAIN_CASE(&tl_op_NonZero_9, &x);
        run_ok(&test);
        const tl_tensor *found = &test.outputs[0];
        for (int64_t i = 0; i < elements(&x); i++) {
            int64_t at[3];
            coordinates(&x, i, at);
            for (int32_t k = 0; get(&x, i) != 0 && k < rank; k++)
                ck_assert_int_eq((int64_t)get(found, k * found->dims[1] + count), at[k]);
            count += get(&x, i) != 0;
        }
        assert_shape(found, DIMS(rank, count));
        fake_free(&test);

        tl_tensor condition = random_bytes(TL_BOOL, DIMS(random_int(0, 7)));
        fake_attribute attributes[] = {ATTR_I("axis", axis)};
        fake_case compress = CASE(&tl_op_Compress_9, attributes, &x, &condition);
        run_ok(&compress);
        int64_t kept = 0, limit = condition.dims[0] < dims[axis] ? condition.dims[0] : dims[axis];
        for (int64_t i = 0; i < limit; i++) {
            if (!((uint8_t *)condition.data)[i])
                continue;
            for (int64_t e = 0; e < elements(&x); e++) {
                int64_t at[3];
                coordinates(&x, e, at);
                if (at[axis] != i)
                    continue;
                at[axis] = kept;
                ck_assert(same_element(&compress.outputs[0], index_of(&compress.outputs[0], at), &x, e));
            }
            kept++;
        }
        ck_assert_int_eq(compress.outputs[0].dims[axis], kept);
        fake_free(&compress);
        free_tensor(&condition);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(one_hot_any)
{
    tl_tensor indices = new_tensor(TL_FLOAT, DIMS(2, 3)), depth = int64_list(1, (int64_t[]){4});
    tl_tensor values = random_bytes(TL_STRING, DIMS(2));
    static const double list[] = {0, 3, -1, -4, -5, 4};
    static const int64_t hot[] = {0, 3, 3, 0, -1, -1};
    for (int64_t i = 0; i < 6; i++)
        set(&indices, i, list[i]);
    for (int64_t axis = -3; axis < 3; axis++) {
        fake_attribute attributes[] = {ATTR_I("axis", axis)};
        fake_case test = CASE(&tl_op_OneHot_9, attributes, &indices, &depth, &values);
        test.version = 11;
        run_ok(&test);
        int64_t place = axis < 0 ? axis + 3 : axis, at[3], rest[2];
        for (int64_t i = 0; i < elements(&test.outputs[0]); i++) {
            coordinates(&test.outputs[0], i, at);
            for (int32_t k = 0, to = 0; k < 3; k++)
                if (k != place)
                    rest[to++] = at[k];
            bool on = hot[index_of(&indices, rest)] == at[place];
            ck_assert(same_element(&test.outputs[0], i, &values, on));
        }
        fake_free(&test);
    }
    *(int64_t *)depth.data = -1;
    fake_case test = PLAIN_CASE(&tl_op_OneHot_9, &indices, &depth, &values);
    run_fails(&test, TL_INVALID_INPUT, "depth is -1");
    free_tensor(&indices);
    free_tensor(&depth);
    free_tensor(&values);
}
END_TEST

static fake_case range_case(tl_type type, double start, double limit, double delta, tl_tensor *inputs)
{
    const double numbers_in[] = {start, limit, delta};
    for (int k = 0; k < 3; k++) {
        inputs[k] = new_tensor(type, 0, NULL);
        set(&inputs[k], 0, numbers_in[k]);
    }
    return PLAIN_CASE(TL_T(type) & TL_T_HALFS ? &tl_op_Range_27 : &tl_op_Range_11, &inputs[0], &inputs[1], &inputs[2]);
}

START_TEST(range_any)
{
    static const struct {
        double start, limit, delta;
        int64_t count;
    } cases[] = {{0, 5, 1, 5}, {1, 8, 3, 3}, {1, 7, 3, 2}, {5, 0, -2, 3}, {0, 5, -1, 0}, {3, 3, 1, 0}, {-4, 4, 2, 4}};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_INT32, TL_INT64, TL_FLOAT16, TL_BFLOAT16};
    tl_tensor inputs[3];
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(cases); c++) {
            fake_case test = range_case(types[t], cases[c].start, cases[c].limit, cases[c].delta, inputs);
            test.constant = c & 1 ? UINT64_MAX : 0;
            run_ok(&test);
            assert_shape(&test.outputs[0], DIMS(cases[c].count));
            for (int64_t i = 0; i < cases[c].count; i++)
                ck_assert_double_eq(get(&test.outputs[0], i), cases[c].start + (double)i * cases[c].delta);
            fake_free(&test);
            for (int k = 0; k < 3; k++)
                free_tensor(&inputs[k]);
        }
    for (size_t t = 0; t < 4; t++) {
        fake_case test = range_case(types[t], 0, 1, 0, inputs);
        run_fails(&test, TL_INVALID_INPUT, NULL);
        for (int k = 0; k < 3; k++)
            free_tensor(&inputs[k]);
    }
    fake_case test = range_case(TL_INT64, 0, 0, 1, inputs);
    *(int64_t *)inputs[0].data = INT64_MIN;
    *(int64_t *)inputs[1].data = INT64_MAX;
    run_fails(&test, TL_NO_MEMORY, "18446744073709551615");
    for (int k = 0; k < 3; k++)
        free_tensor(&inputs[k]);
}
END_TEST

START_TEST(triangles)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(2, 4, 6));
    static const int64_t diagonals[] = {0, 1, -1, 3, -3, 6, -5, INT64_MAX, INT64_MIN};
    for (size_t k = 0; k < COUNT(diagonals); k++)
        for (int64_t upper = 0; upper < 2; upper++) {
            tl_tensor diagonal = int64_scalar(diagonals[k]);
            fake_attribute attributes[] = {ATTR_I("upper", upper)};
            fake_case test = CASE(&tl_op_Trilu_14, attributes, &x, &diagonal);
            run_ok(&test);
            for (int64_t i = 0; i < elements(&x); i++) {
                int64_t at[3];
                coordinates(&x, i, at);
                bool above = (double)(at[2] - at[1]) >= (double)diagonals[k];
                bool below = (double)(at[2] - at[1]) <= (double)diagonals[k];
                ck_assert_double_eq(get(&test.outputs[0], i), (upper ? above : below) ? get(&x, i) : 0);
            }
            fake_free(&test);
            free_tensor(&diagonal);
        }
    x.rank = 2;
    x.dims[0] = 8;
    for (size_t k = 0; k < COUNT(diagonals); k++) {
        x.dims[1] = 6;
        fake_attribute attributes[] = {ATTR_I("k", diagonals[k]), ATTR_I("dtype", TL_DOUBLE)};
        fake_case test = CASE(&tl_op_EyeLike_9, attributes, &x);
        run_ok(&test);
        for (int64_t i = 0; i < 48; i++)
            ck_assert_double_eq(get(&test.outputs[0], i), (double)(i % 6 - i / 6) == (double)diagonals[k]);
        fake_free(&test);
    }
    free_tensor(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("select");
    ADD_TEST(suite, top_k_any);
    ADD_TEST(suite, unique_any);
    ADD_TEST(suite, nonzero_and_compress);
    ADD_TEST(suite, one_hot_any);
    ADD_TEST(suite, range_any);
    ADD_TEST(suite, triangles);
    return run_suite(suite);
}
