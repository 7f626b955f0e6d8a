/* MaxUnpool and Col2Im: elements that go back to where they came from. */
#include "tensors.h"

OPERATOR(MaxPool, 10);
OPERATOR(MaxUnpool, 9);
OPERATOR(Col2Im, 18);

/* ---- MaxUnpool */

/* Pools, puts back, and finds the maxima where they were. */
START_TEST(unpool_after_pool)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(61);
    for (int turn = 0; turn < 40; turn++) {
        tl_tensor x = random_tensor(types[turn % 4], DIMS(2, 3, 6, 4));
        for (int64_t i = 0; i < elements(&x); i++)
            set(&x, i, (double)random_int(1, 100));
        fake_attribute attributes[] = {ATTR_IS("kernel_shape", 2, 2), ATTR_IS("strides", 2, 2)};
        fake_case pool = CASE(&tl_op_MaxPool_10, attributes, &x);
        run_ok(&pool);
        const tl_tensor *maxima = &pool.outputs[0], *indices = &pool.outputs[1];
        /* The same shape, and a larger one in whose corner it lies. */
        tl_tensor larger = int64_list(4, (int64_t[]){2, 4, 6, 7});
        const tl_tensor *shape = turn & 1 ? &larger : NULL;
        fake_case back = CASE(&tl_op_MaxUnpool_9, attributes, maxima, indices, shape);
        back.constant = turn & 2 ? 4 : 0;
        run_ok(&back);
        const tl_tensor *y = &back.outputs[0];
        double *want = calloc((size_t)elements(y), sizeof *want);
        for (int64_t i = 0; i < elements(maxima); i++) {
            int64_t at[4];
            coordinates(&x, ((const int64_t *)indices->data)[i], at);
            want[index_of(y, at)] = get(maxima, i);
        }
        ck_assert_int_eq(y->dims[3], shape ? 7 : 4);
        for (int64_t i = 0; i < elements(y); i++)
            ck_assert(get(y, i) == want[i]);
        free(want);
        fake_free(&back);
        fake_free(&pool);
        free_tensor(&x);
        free_tensor(&larger);
    }
}
END_TEST

START_TEST(unpool_refuses)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 1, 2)), small = int64_list(3, (int64_t[]){1, 1, 3});
    tl_tensor huge = int64_list(3, (int64_t[]){1, INT64_MAX, INT64_MAX}), two = int64_list(2, (int64_t[]){1, 1});
    static const int64_t bad[] = {-1, 4, INT64_MAX, INT64_MIN};
    fake_attribute attributes[] = {ATTR_IS("kernel_shape", 2), ATTR_IS("strides", 2)};
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor indices = new_tensor(TL_INT64, DIMS(1, 1, 2));
        ((int64_t *)indices.data)[1] = bad[k];
        fake_case test = CASE(&tl_op_MaxUnpool_9, attributes, &x, &indices);
        run_fails(&test, TL_INVALID_INPUT, "(element 1) is not in [0, 4)");
        free_tensor(&indices);
    }
    tl_tensor indices = new_tensor(TL_INT64, DIMS(1, 1, 2)), other = new_tensor(TL_INT64, DIMS(1, 1, 3));
    fake_case cases[] = {CASE(&tl_op_MaxUnpool_9, attributes, &x, &indices, &small),
                         CASE(&tl_op_MaxUnpool_9, attributes, &x, &indices, &two),
                         CASE(&tl_op_MaxUnpool_9, attributes, &x, &other),
                         CASE(&tl_op_MaxUnpool_9, attributes, &x, &indices, &huge)};
    for (size_t k = 0; k < COUNT(cases); k++)
        run_fails(&cases[k], k < 3 ? TL_INVALID_INPUT : TL_NO_MEMORY, NULL);
    const fake_attribute wrong[][2] = {{ATTR_IS("kernel_shape", 2), ATTR_IS("strides", INT64_MAX)},
                                       {ATTR_IS("kernel_shape", 2), ATTR_IS("strides", 0)},
                                       {ATTR_IS("kernel_shape", 2, 2), ATTR_IS("strides", 1, 1)},
                                       {ATTR_IS("kernel_shape", 1), ATTR_IS("pads", 2, INT64_MAX)}};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        fake_case test = CASE(&tl_op_MaxUnpool_9, wrong[k], &x, &indices);
        ck_assert_int_ne(fake_run(&test), TL_OK);
    }
    free_tensor(&x);
    free_tensor(&indices);
    free_tensor(&other);
    free_tensor(&small);
    free_tensor(&huge);
    free_tensor(&two);
}
END_TEST

/* ---- Col2Im */

/* Element by element of the columns: where does it go? Wraps as the type does. */
static void naive_col2im(const tl_tensor *x, const tl_tensor *y, const int64_t *block, const int64_t *strides,
                         const int64_t *dilations, const int64_t *pads, double *want)
{
    const int32_t spatial = y->rank - 2;
    tl_tensor grid = {.rank = 2 + 2 * spatial}; /* N, C, taps, blocks */
    grid.dims[0] = y->dims[0];
    grid.dims[1] = y->dims[1];
    for (int32_t i = 0; i < spatial; i++) {
        grid.dims[2 + i] = block[i];
        grid.dims[2 + spatial + i] =
            (y->dims[i + 2] + pads[i] + pads[spatial + i] - dilations[i] * (block[i] - 1) - 1) / strides[i] + 1;
    }
    ck_assert_int_eq(elements(&grid), elements(x));
    for (int64_t i = 0; i < elements(x); i++) {
        int64_t at[8], to[5];
        bool inside = true;
        coordinates(&grid, i, at);
        to[0] = at[0];
        to[1] = at[1];
        for (int32_t k = 0; k < spatial; k++) {
            to[k + 2] = at[2 + spatial + k] * strides[k] + at[2 + k] * dilations[k] - pads[k];
            inside = inside && to[k + 2] >= 0 && to[k + 2] < y->dims[k + 2];
        }
        if (inside)
            want[index_of(y, to)] += get(x, i);
    }
}

START_TEST(col2im_any)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_UINT8,
                                    TL_INT32, TL_UINT64, TL_INT64,   TL_BOOL};
    random_seed(62);
    for (int turn = 0; turn < 270; turn++) {
        const int32_t spatial = 1 + turn % 3;
        int64_t image[3], block[3], strides[3], dilations[3], pads[6], columns[] = {2, 3, 1};
        for (int32_t i = 0; i < spatial; i++) {
            block[i] = random_int(1, 3);
            strides[i] = random_int(1, 3);
            dilations[i] = random_int(1, 2);
            pads[i] = random_int(0, 2);
            pads[spatial + i] = random_int(0, 2);
            image[i] = random_int(dilations[i] * (block[i] - 1) + 1, 8);
            columns[1] *= block[i];
            columns[2] *= (image[i] + pads[i] + pads[spatial + i] - dilations[i] * (block[i] - 1) - 1) / strides[i] + 1;
        }
        const tl_type type = types[turn / 3 % 9];
        tl_tensor x = random_tensor(type, 3, columns);
        for (int64_t i = 0; i < elements(&x); i++) /* small, so that halves and bytes are exact */
            set(&x, i, (double)random_int(0, type == TL_BOOL ? 1 : 3));
        tl_tensor image_shape = int64_list(spatial, image), block_shape = int64_list(spatial, block);
        fake_attribute attributes[] = {
            {.name = "strides", .kind = TL_ATTR_INTS, .ints = strides, .count = (size_t)spatial},
            {.name = "dilations", .kind = TL_ATTR_INTS, .ints = dilations, .count = (size_t)spatial},
            {.name = "pads", .kind = TL_ATTR_INTS, .ints = pads, .count = 2 * (size_t)spatial}};
        fake_case test = CASE(&tl_op_Col2Im_18, attributes, &x, &image_shape, &block_shape);
        test.constant = (uint64_t)random_int(0, 3) << 1;
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        double *want = calloc((size_t)elements(y), sizeof *want);
        naive_col2im(&x, y, block, strides, dilations, pads, want);
        for (int64_t i = 0; i < elements(y); i++)
            ck_assert(get(y, i) == (type == TL_BOOL ? want[i] != 0 : want[i]));
        free(want);
        fake_free(&test);
        free_tensor(&x);
        free_tensor(&image_shape);
        free_tensor(&block_shape);
    }
}
END_TEST

START_TEST(col2im_complex)
{
    tl_tensor x = new_tensor(TL_COMPLEX64, DIMS(1, 2, 2)), image = int64_list(1, (int64_t[]){3});
    tl_tensor block = int64_list(1, (int64_t[]){2});
    static const float want[] = {0, 1, 6, 8, 6, 7};
    for (int i = 0; i < 8; i++)
        ((float *)x.data)[i] = (float)i;
    fake_case test = PLAIN_CASE(&tl_op_Col2Im_18, &x, &image, &block);
    run_ok(&test);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(((const float *)test.outputs[0].data)[i], want[i]);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&image);
    free_tensor(&block);
}
END_TEST

START_TEST(col2im_refuses)
{
    static const struct {
        int64_t image[2], block[2];
        tl_status status;
    } cases[] = {
        {{3, 3}, {2, 2}, TL_OK},
        {{-3, 3}, {2, 2}, TL_INVALID_INPUT},
        {{3, 3}, {0, 2}, TL_INVALID_INPUT},
        {{3, 3}, {-2, -2}, TL_INVALID_INPUT},
        {{3, 4}, {2, 2}, TL_INVALID_INPUT},
        {{3, 3}, {2, 4}, TL_INVALID_INPUT},
        {{3, 3}, {3, 2}, TL_INVALID_INPUT},
        {{INT64_MAX, INT64_MAX}, {2, 2}, TL_INVALID_INPUT},
        {{INT64_MAX, INT64_MAX}, {INT64_MAX, INT64_MAX}, TL_INVALID_INPUT},
    };
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 4, 4));
    for (size_t k = 0; k < COUNT(cases); k++) {
        tl_tensor image = int64_list(2, cases[k].image), block = int64_list(2, cases[k].block);
        fake_case test = PLAIN_CASE(&tl_op_Col2Im_18, &x, &image, &block);
        run_fails(&test, cases[k].status, NULL);
        free_tensor(&image);
        free_tensor(&block);
    }
    tl_tensor image = int64_list(2, (int64_t[]){3, 3}), block = int64_list(1, (int64_t[]){2});
    fake_case lists = PLAIN_CASE(&tl_op_Col2Im_18, &x, &image, &block);
    run_fails(&lists, TL_INVALID_INPUT, "each spatial axis");
    tl_tensor pair = int64_list(2, (int64_t[]){2, 2});
    const fake_attribute wrong[] = {ATTR_IS("strides", 1), ATTR_IS("dilations", 1, INT64_MAX),
                                    ATTR_IS("pads", INT64_MAX, 1, 1, 1), ATTR_IS("strides", 0, 1)};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        fake_case test = new_case(&tl_op_Col2Im_18, &wrong[k], 1, (const tl_tensor *const[]){&x, &image, &pair}, 3);
        run_fails(&test, TL_INVALID_MODEL, NULL);
    }
    free_tensor(&x);
    free_tensor(&image);
    free_tensor(&block);
    free_tensor(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold");
    ADD_TEST(suite, unpool_after_pool);
    ADD_TEST(suite, unpool_refuses);
    ADD_TEST(suite, col2im_any);
    ADD_TEST(suite, col2im_complex);
    ADD_TEST(suite, col2im_refuses);
    return run_suite(suite);
}
