/* Transpose, Slice, Pad, Concat, Split, Expand, Tile: every element of the result is one of the input's, found by naive
 * arithmetic on coordinates; over random shapes and all sizes of elements. */
#include "onnx/tensor.h"
#include "tensors.h"

OPERATOR(Transpose, 1);
OPERATOR(Slice, 1);
OPERATOR(Slice, 10);
OPERATOR(Pad, 2);
OPERATOR(Pad, 11);
OPERATOR(Pad, 18);
OPERATOR(Concat, 4);
OPERATOR(Split, 2);
OPERATOR(Split, 13);
OPERATOR(Split, 18);
OPERATOR(Expand, 8);
OPERATOR(Tile, 6);

static void check_transpose(tl_type type, int32_t rank, const int64_t *dims, const int64_t *perm)
{
    tl_tensor in = random_bytes(type, rank, dims);
    fake_attribute attributes[] = {{.name = "perm", .kind = TL_ATTR_INTS, .ints = perm, .count = (size_t)rank}};
    fake_case test = CASE(&tl_op_Transpose_1, attributes, &in);
    run_ok(&test);
    const tl_tensor *out = &test.outputs[0];
    for (int64_t i = 0; i < elements(out); i++) {
        int64_t at[TL_MAX_RANK], from[TL_MAX_RANK];
        coordinates(out, i, at);
        for (int32_t k = 0; k < rank; k++)
            from[perm[k]] = at[k];
        ck_assert(same_element(out, i, &in, index_of(&in, from)));
    }
    fake_free(&test);
    free_tensor(&in);
}

START_TEST(transpose_any_permutation)
{
    random_seed(1);
    for (int round = 0; round < 400; round++) {
        int32_t rank = (int32_t)random_int(1, 6);
        int64_t dims[6], perm[6];
        random_dims(rank, round % 20 == 0 ? 0 : 1, rank > 3 ? 6 : 40, dims);
        for (int32_t i = 0; i < rank; i++)
            perm[i] = i;
        for (int32_t i = rank - 1; i > 0; i--) {
            int64_t k = random_int(0, i), swap = perm[i];
            perm[i] = perm[k];
            perm[k] = swap;
        }
        check_transpose(sized_types[round % 5], rank, dims, perm);
    }
}
END_TEST

/* Large enough for several strips and pieces. */
START_TEST(transpose_large)
{
    for (size_t k = 0; k < COUNT(sized_types); k++) {
        check_transpose(sized_types[k], 2, (int64_t[]){333, 517}, (int64_t[]){1, 0});
        check_transpose(sized_types[k], 3, (int64_t[]){3, 129, 130}, (int64_t[]){0, 2, 1});
        check_transpose(sized_types[k], 3, (int64_t[]){70, 65, 3}, (int64_t[]){2, 0, 1});
        check_transpose(sized_types[k], 4, (int64_t[]){2, 31, 33, 17}, (int64_t[]){0, 2, 3, 1});
        for (int64_t narrow = 2; narrow <= 5; narrow++) { /* pixels */
            check_transpose(sized_types[k], 2, (int64_t[]){517, narrow}, (int64_t[]){1, 0});
            check_transpose(sized_types[k], 2, (int64_t[]){narrow, 517}, (int64_t[]){1, 0});
            check_transpose(sized_types[k], 2, (int64_t[]){6150, narrow}, (int64_t[]){1, 0}); /* in equal parts */
            check_transpose(sized_types[k], 3, (int64_t[]){narrow, 23, 7}, (int64_t[]){1, 0, 2});
            check_transpose(sized_types[k], 4, (int64_t[]){3, narrow, 2, 19}, (int64_t[]){3, 0, 2, 1});
        }
    }
}
END_TEST

START_TEST(transpose_refuses_bad_permutations)
{
    tl_tensor in = random_bytes(TL_FLOAT, DIMS(2, 3, 4));
    static const int64_t bad[][3] = {{0, 0, 1}, {0, 1, 3}, {-1, 0, 1}, {0, 1, INT64_MAX}};
    for (size_t k = 0; k < COUNT(bad); k++) {
        fake_attribute attributes[] = {{.name = "perm", .kind = TL_ATTR_INTS, .ints = bad[k], .count = 3}};
        fake_case test = CASE(&tl_op_Transpose_1, attributes, &in);
        run_fails(&test, TL_INVALID_MODEL, NULL);
    }
    free_tensor(&in);
}
END_TEST

/* ---- Slice */

/* The elements of a slice of 0..dim-1 by walking: the standard's clamping, written as loops. */
static int64_t walk_slice(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *list)
{
    int64_t n = 0;
    double first = (double)start + (start < 0 ? (double)dim : 0), last = (double)end + (end < 0 ? (double)dim : 0);
    if (step > 0 && first < 0)
        first = 0;
    if (step < 0 && first > (double)dim - 1)
        first = (double)dim - 1;
    if (step < 0 && first < 0)
        first = 0;
    for (double i = first; step > 0 ? i < last && i < (double)dim : i > last && i >= 0; i += (double)step)
        if (i < (double)dim)
            list[n++] = (int64_t)i;
    return n;
}

START_TEST(slice_any)
{
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, 0, -1, 1};
    random_seed(2);
    for (int round = 0; round < 600; round++) {
        int32_t rank = (int32_t)random_int(1, 4);
        int64_t dims[4], starts[4], ends[4], axes[4], steps[4], lists[4][24], counts[4];
        random_dims(rank, round % 30 == 0 ? 0 : 1, 12, dims);
        for (int32_t i = 0; i < rank; i++) {
            starts[i] = random_int(0, 3) ? random_int(-14, 14) : extremes[random_int(0, 6)];
            ends[i] = random_int(0, 3) ? random_int(-14, 14) : extremes[random_int(0, 6)];
            steps[i] = random_int(0, 5) ? random_int(1, 3) * (random_int(0, 1) ? 1 : -1) : extremes[random_int(0, 3)];
            axes[i] = random_int(0, 1) ? i : i - rank;
            counts[i] = walk_slice(dims[i], starts[i], ends[i], steps[i], lists[i]);
        }
        tl_tensor in = random_bytes(sized_types[round % 5], rank, dims);
        tl_tensor list[] = {int64_list(rank, starts), int64_list(rank, ends), int64_list(rank, axes),
                            int64_list(rank, steps)};
        fake_case test = PLAIN_CASE(&tl_op_Slice_10, &in, &list[0], &list[1], &list[2], &list[3]);
        test.constant = round % 2 ? UINT64_MAX : 1; /* bounds known ahead, or only when it runs */
        run_ok(&test);
        const tl_tensor *out = &test.outputs[0];
        assert_shape(out, rank, counts);
        for (int64_t i = 0; i < elements(out); i++) {
            int64_t at[4];
            coordinates(out, i, at);
            for (int32_t k = 0; k < rank; k++)
                at[k] = lists[k][at[k]];
            ck_assert(same_element(out, i, &in, index_of(&in, at)));
        }
        fake_free(&test);
        free_tensor(&in);
        for (size_t k = 0; k < COUNT(list); k++)
            free_tensor(&list[k]);
    }
}
END_TEST

START_TEST(slice_by_attributes)
{
    tl_tensor in = random_bytes(TL_FLOAT, DIMS(5, 4));
    fake_attribute attributes[] = {ATTR_IS("starts", 1, -3), ATTR_IS("ends", 1000, -1)};
    fake_case test = CASE(&tl_op_Slice_1, attributes, &in);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(4, 2));
    ck_assert(same_element(&test.outputs[0], 0, &in, 5) && same_element(&test.outputs[0], 7, &in, 18));
    fake_free(&test);
    free_tensor(&in);
}
END_TEST

START_TEST(slice_refuses)
{
    tl_tensor in = random_bytes(TL_FLOAT, DIMS(5, 4)), one = int64_list(1, (int64_t[]){1});
    tl_tensor two = int64_list(2, (int64_t[]){1, 1}), zero = int64_list(1, (int64_t[]){0});
    tl_tensor axis = int64_list(1, (int64_t[]){2});
    fake_case lengths = PLAIN_CASE(&tl_op_Slice_10, &in, &one, &two);
    run_fails(&lengths, TL_INVALID_MODEL, "ends");
    fake_case step = PLAIN_CASE(&tl_op_Slice_10, &in, &one, &one, NULL, &zero);
    run_fails(&step, TL_INVALID_MODEL, "steps[0] is 0");
    fake_case range = PLAIN_CASE(&tl_op_Slice_10, &in, &one, &one, &axis);
    run_fails(&range, TL_INVALID_MODEL, "axis");
    fake_case twice = PLAIN_CASE(&tl_op_Slice_10, &in, &two, &two, &two);
    run_fails(&twice, TL_INVALID_MODEL, "twice");
    free_tensor(&in);
    free_tensor(&one);
    free_tensor(&two);
    free_tensor(&zero);
    free_tensor(&axis);
}
END_TEST

/* ---- Pad */

/* Source index by stepping: what mode says of index i, counted from the first that is kept, of n kept ones. */
static int64_t pad_index(const char *mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (strcmp(mode, "constant") == 0)
        return -1;
    if (strcmp(mode, "edge") == 0)
        return i < 0 ? 0 : n - 1;
    while (i < 0 || i >= n) {
        if (strcmp(mode, "wrap") == 0)
            i += i < 0 ? n : -n;
        else if (n == 1)
            i = 0;
        else
            i = i < 0 ? -i : 2 * (n - 1) - i;
    }
    return i;
}

START_TEST(pad_any)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    random_seed(3);
    for (int round = 0; round < 800; round++) {
        const char *mode = modes[round % 4];
        int32_t rank = (int32_t)random_int(1, 4);
        int64_t dims[4], pads[8], want[4], kept[4];
        random_dims(rank, 3, 7, dims);
        for (int32_t i = 0; i < rank; i++) {
            int64_t kind = random_int(0, 4);
            pads[i] = kind < 2 ? 0 : random_int(-1, kind == 4 ? 9 : 3);
            pads[rank + i] = kind < 1 ? 0 : random_int(-1, 3);
            want[i] = dims[i] + pads[i] + pads[rank + i];
            kept[i] = dims[i] + (pads[i] < 0 ? pads[i] : 0) + (pads[rank + i] < 0 ? pads[rank + i] : 0);
        }
        tl_tensor in = random_bytes(sized_types[round % 5], rank, dims), list = int64_list(2 * rank, pads);
        tl_tensor value = random_bytes(in.type, 0, NULL);
        fake_attribute attributes[] = {ATTR_S("mode", mode)};
        bool given = random_int(0, 1);
        fake_case test = CASE(&tl_op_Pad_18, attributes, &in, &list, given ? &value : NULL);
        test.version = 19;
        test.constant = round % 3 ? UINT64_MAX : 0;
        run_ok(&test);
        const tl_tensor *out = &test.outputs[0];
        assert_shape(out, rank, want);
        for (int64_t i = 0; i < elements(out); i++) {
            int64_t at[4];
            bool constant = false;
            coordinates(out, i, at);
            for (int32_t k = 0; k < rank; k++) {
                int64_t before = pads[k] > 0 ? pads[k] : 0, source = pad_index(mode, at[k] - before, kept[k]);
                constant = constant || source < 0;
                at[k] = source + (pads[k] < 0 ? -pads[k] : 0);
            }
            if (constant)
                ck_assert(given ? same_element(out, i, &value, 0) : same_element(out, i, NULL, -1));
            else
                ck_assert(same_element(out, i, &in, index_of(&in, at)));
        }
        fake_free(&test);
        free_tensor(&in);
        free_tensor(&list);
        free_tensor(&value);
    }
}
END_TEST

static unsigned packed_element(const tl_tensor *tensor, int64_t i, unsigned bits)
{
    const unsigned each = 8 / bits;
    return ((const uint8_t *)tensor->data)[i / each] >> i % each * bits & ((1U << bits) - 1);
}

/* Types whose elements share bytes, against bytes that hold one each. */
START_TEST(pad_packed)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const tl_type types[] = {TL_INT4, TL_UINT4, TL_FLOAT4E2M1, TL_INT2, TL_UINT2};
    random_seed(4);
    for (int turn = 0; turn < 200; turn++) {
        const tl_type type = types[turn % 5];
        const unsigned bits = type == TL_INT2 || type == TL_UINT2 ? 2 : 4;
        int64_t dims[3], pads[6];
        random_dims(3, 2, 5, dims);
        for (int i = 0; i < 6; i++)
            pads[i] = random_int(0, 1) ? 0 : random_int(0, 3);
        tl_tensor packed = new_tensor(type, 3, dims), bytes = new_tensor(TL_UINT8, 3, dims);
        tl_tensor list = int64_list(6, pads), value = new_tensor(type, 0, NULL), byte = new_tensor(TL_UINT8, 0, NULL);
        for (size_t i = 0; i < fake_bytes(&packed); i++)
            ((uint8_t *)packed.data)[i] = (uint8_t)random_bits();
        for (int64_t i = 0; i < elements(&packed); i++)
            set(&bytes, i, packed_element(&packed, i, bits));
        *(uint8_t *)value.data = (uint8_t)random_bits();
        set(&byte, 0, packed_element(&value, 0, bits));
        fake_attribute attributes[] = {ATTR_S("mode", modes[turn / 5 % 4])};
        fake_case small = CASE(&tl_op_Pad_18, attributes, &packed, &list, &value);
        fake_case wide = CASE(&tl_op_Pad_18, attributes, &bytes, &list, &byte);
        small.version = wide.version = 25;
        run_ok(&small);
        run_ok(&wide);
        for (int64_t i = 0; i < elements(&wide.outputs[0]); i++)
            ck_assert_uint_eq(packed_element(&small.outputs[0], i, bits), (unsigned)get(&wide.outputs[0], i));
        fake_free(&small);
        fake_free(&wide);
        free_tensor(&packed);
        free_tensor(&bytes);
        free_tensor(&list);
        free_tensor(&value);
        free_tensor(&byte);
    }
}
END_TEST

START_TEST(pad_axes_and_old_forms)
{
    tl_tensor in = random_tensor(TL_DOUBLE, DIMS(2, 3)), pads = int64_list(2, (int64_t[]){1, 2});
    tl_tensor axes = int64_list(1, (int64_t[]){-1});
    fake_case test = PLAIN_CASE(&tl_op_Pad_18, &in, &pads, NULL, &axes);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(2, 6));
    ck_assert_double_eq(get(&test.outputs[0], 7), get(&in, 3));
    fake_free(&test);
    tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    for (size_t k = 0; k < COUNT(types); k++) {
        tl_tensor x = random_tensor(types[k], DIMS(2, 3));
        fake_attribute attributes[] = {ATTR_IS("pads", 0, 1, 0, 0), ATTR_F("value", 1.5f)};
        fake_case old = CASE(&tl_op_Pad_2, attributes, &x);
        run_ok(&old);
        assert_shape(&old.outputs[0], DIMS(2, 4));
        ck_assert_double_eq(get(&old.outputs[0], 0), 1.5);
        ck_assert_double_eq(get(&old.outputs[0], 4), 1.5);
        ck_assert_double_eq(get(&old.outputs[0], 5), get(&x, 3));
        fake_free(&old);
        free_tensor(&x);
    }
    free_tensor(&in);
    free_tensor(&pads);
    free_tensor(&axes);
}
END_TEST

START_TEST(pad_refuses)
{
    tl_tensor in = random_tensor(TL_FLOAT, DIMS(2, 3)), empty = random_tensor(TL_FLOAT, DIMS(2, 0));
    static const int64_t bad[][4] = {{0, -2, 0, -2}, {0, INT64_MAX, 0, 0}, {0, INT64_MIN, 0, INT64_MIN}};
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor pads = int64_list(4, bad[k]);
        fake_case test = PLAIN_CASE(&tl_op_Pad_11, &in, &pads);
        run_fails(&test, k == 0 ? TL_INVALID_INPUT : TL_NO_MEMORY, "axis 1");
        free_tensor(&pads);
    }
    tl_tensor pads = int64_list(4, (int64_t[]){0, 1, 0, 0}), few = int64_list(3, (int64_t[]){0, 1, 0});
    fake_attribute edge[] = {ATTR_S("mode", "edge")}, wrap[] = {ATTR_S("mode", "wrap")};
    fake_case nothing = CASE(&tl_op_Pad_11, edge, &empty, &pads);
    run_fails(&nothing, TL_INVALID_INPUT, "no elements");
    fake_case mode = CASE(&tl_op_Pad_18, wrap, &in, &pads);
    run_fails(&mode, TL_INVALID_MODEL, "mode");
    fake_case count = PLAIN_CASE(&tl_op_Pad_11, &in, &few);
    run_fails(&count, TL_INVALID_MODEL, "pads");
    free_tensor(&in);
    free_tensor(&empty);
    free_tensor(&pads);
    free_tensor(&few);
}
END_TEST

/* ---- Concat, Split */

START_TEST(concat_and_split_are_inverse)
{
    random_seed(4);
    for (int round = 0; round < 200; round++) {
        int32_t rank = (int32_t)random_int(1, 4);
        int64_t dims[4], axis = random_int(0, rank - 1), lengths[3], sum = 0;
        tl_tensor parts[3];
        random_dims(rank, 1, round % 10 == 0 && rank < 3 ? 9000 : 9, dims);
        for (int k = 0; k < 3; k++) {
            lengths[k] = dims[axis] = random_int(0, 5);
            sum += lengths[k];
            parts[k] = random_bytes(sized_types[round % 5], rank, dims);
        }
        fake_attribute attributes[] = {ATTR_I("axis", round % 2 ? axis : axis - rank)};
        fake_case test = CASE(&tl_op_Concat_4, attributes, &parts[0], &parts[1], &parts[2]);
        run_ok(&test);
        const tl_tensor *all = &test.outputs[0];
        ck_assert_int_eq(all->dims[axis], sum);
        tl_tensor list = int64_list(3, lengths);
        fake_case back = CASE(&tl_op_Split_13, attributes, all, &list);
        back.output_count = 3;
        back.constant = round % 3 ? UINT64_MAX : 0;
        run_ok(&back);
        for (int64_t i = 0; i < elements(all); i++) {
            int64_t at[4];
            int k = 0;
            coordinates(all, i, at);
            for (; at[axis] >= lengths[k]; k++)
                at[axis] -= lengths[k];
            ck_assert(same_element(all, i, &parts[k], index_of(&parts[k], at)));
        }
        for (int k = 0; k < 3; k++) {
            assert_shape(&back.outputs[k], rank, parts[k].dims);
            for (int64_t i = 0; i < elements(&parts[k]); i++)
                ck_assert(same_element(&back.outputs[k], i, &parts[k], i));
            free_tensor(&parts[k]);
        }
        fake_free(&back);
        fake_free(&test);
        free_tensor(&list);
    }
}
END_TEST

START_TEST(split_lengths)
{
    tl_tensor in = random_bytes(TL_FLOAT, DIMS(7));
    fake_attribute three[] = {ATTR_I("num_outputs", 3)}, given[] = {ATTR_IS("split", 2, 5)};
    fake_case ragged = CASE(&tl_op_Split_18, three, &in);
    ragged.output_count = 3;
    run_ok(&ragged);
    assert_shape(&ragged.outputs[0], DIMS(3));
    assert_shape(&ragged.outputs[2], DIMS(1));
    fake_free(&ragged);
    fake_case by_attribute = CASE(&tl_op_Split_2, given, &in);
    by_attribute.output_count = 2;
    run_ok(&by_attribute);
    assert_shape(&by_attribute.outputs[1], DIMS(5));
    fake_free(&by_attribute);
    fake_case equal = PLAIN_CASE(&tl_op_Split_13, &in);
    equal.output_count = 2;
    run_fails(&equal, TL_INVALID_INPUT, "equal parts");
    static const int64_t bad[][2] = {{3, 5}, {-1, 8}, {INT64_MAX, INT64_MAX}};
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor list = int64_list(2, bad[k]);
        fake_case test = PLAIN_CASE(&tl_op_Split_13, &in, &list);
        test.output_count = 2;
        run_fails(&test, TL_INVALID_INPUT, "split");
        free_tensor(&list);
    }
    free_tensor(&in);
}
END_TEST

START_TEST(concat_refuses)
{
    tl_tensor a = random_bytes(TL_FLOAT, DIMS(2, 3)), b = random_bytes(TL_FLOAT, DIMS(3, 3));
    tl_tensor c = random_bytes(TL_FLOAT, DIMS(2)), huge = {.type = TL_FLOAT, .rank = 2, .dims = {0, INT64_MAX}};
    huge.data = a.data;
    fake_attribute second[] = {ATTR_I("axis", 1)}, beyond[] = {ATTR_I("axis", 2)};
    fake_case dims = CASE(&tl_op_Concat_4, second, &a, &b);
    run_fails(&dims, TL_INVALID_INPUT, "dimension 0");
    fake_case ranks = CASE(&tl_op_Concat_4, second, &a, &c);
    run_fails(&ranks, TL_INVALID_INPUT, "rank");
    fake_case axis = CASE(&tl_op_Concat_4, beyond, &a, &a);
    run_fails(&axis, TL_INVALID_MODEL, "axis");
    fake_case overflow = CASE(&tl_op_Concat_4, second, &huge, &huge);
    run_fails(&overflow, TL_NO_MEMORY, "overflows");
    free_tensor(&a);
    free_tensor(&b);
    free_tensor(&c);
}
END_TEST

/* ---- Expand, Tile */

START_TEST(expand_and_tile_any)
{
    random_seed(5);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(0, 4);
        int64_t dims[4], shape[5], repeats[4], want[5];
        random_dims(rank, 1, 5, dims);
        for (int32_t i = 0; i < rank; i++) {
            dims[i] = random_int(0, 1) ? 1 : dims[i];
            repeats[i] = random_int(round % 10 == 0 ? 0 : 1, 3);
            shape[i + 1] = dims[i] == 1 ? random_int(1, 4) : random_int(0, 1) ? 1 : dims[i];
            want[i + 1] = shape[i + 1] == 1 ? dims[i] : shape[i + 1];
        }
        shape[0] = want[0] = random_int(1, 3);
        tl_tensor in = random_bytes(sized_types[round % 5], rank, dims);
        tl_tensor to = int64_list(rank + 1, shape), times = int64_list(rank, repeats);
        fake_case expand = PLAIN_CASE(&tl_op_Expand_8, &in, &to), tile = PLAIN_CASE(&tl_op_Tile_6, &in, &times);
        expand.constant = tile.constant = round % 2 ? UINT64_MAX : 0;
        run_ok(&expand);
        run_ok(&tile);
        assert_shape(&expand.outputs[0], rank + 1, want);
        int64_t at[5];
        for (int64_t i = 0; i < elements(&expand.outputs[0]); i++) {
            coordinates(&expand.outputs[0], i, at);
            for (int32_t k = 0; k < rank; k++)
                at[k] = dims[k] == 1 ? 0 : at[k + 1];
            ck_assert(same_element(&expand.outputs[0], i, &in, index_of(&in, at)));
        }
        for (int64_t i = 0; i < elements(&tile.outputs[0]); i++) {
            coordinates(&tile.outputs[0], i, at);
            for (int32_t k = 0; k < rank; k++)
                at[k] %= dims[k];
            ck_assert(same_element(&tile.outputs[0], i, &in, index_of(&in, at)));
        }
        fake_free(&expand);
        fake_free(&tile);
        free_tensor(&in);
        free_tensor(&to);
        free_tensor(&times);
    }
}
END_TEST

START_TEST(expand_and_tile_refuse)
{
    tl_tensor in = random_bytes(TL_FLOAT, DIMS(2, 3));
    tl_tensor wrong = int64_list(2, (int64_t[]){3, 3}), negative = int64_list(2, (int64_t[]){1, -1});
    tl_tensor huge = int64_list(2, (int64_t[]){1, INT64_MAX});
    fake_case expand = PLAIN_CASE(&tl_op_Expand_8, &in, &wrong), below = PLAIN_CASE(&tl_op_Expand_8, &in, &negative);
    run_fails(&expand, TL_INVALID_INPUT, "expand");
    run_fails(&below, TL_INVALID_INPUT, "shape[1] is -1");
    fake_case tile = PLAIN_CASE(&tl_op_Tile_6, &in, &negative), large = PLAIN_CASE(&tl_op_Tile_6, &in, &huge);
    run_fails(&tile, TL_INVALID_INPUT, "repeats[1] is -1");
    run_fails(&large, TL_NO_MEMORY, "overflows");
    free_tensor(&in);
    free_tensor(&wrong);
    free_tensor(&negative);
    free_tensor(&huge);
}
END_TEST

/* A file may say any length: what is planned for it must not take as long. */
START_TEST(long_rows_are_planned_at_once)
{
    const int64_t n = INT64_C(1) << 50;
    op_copy copy;
    op_copy_init(&copy, 4, 2, (int64_t[]){8, n}, (int64_t[]){4 * n, 4}, (int64_t[]){4, 32});
    ck_assert_int_eq(copy.kind, OP_COPY_TRANSPOSED);
    ck_assert_int_lt(copy.row, n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy");
    ADD_TEST(suite, transpose_any_permutation);
    ADD_TEST(suite, transpose_large);
    ADD_TEST(suite, transpose_refuses_bad_permutations);
    ADD_TEST(suite, slice_any);
    ADD_TEST(suite, slice_by_attributes);
    ADD_TEST(suite, slice_refuses);
    ADD_TEST(suite, pad_any);
    ADD_TEST(suite, pad_packed);
    ADD_TEST(suite, pad_axes_and_old_forms);
    ADD_TEST(suite, pad_refuses);
    ADD_TEST(suite, concat_and_split_are_inverse);
    ADD_TEST(suite, split_lengths);
    ADD_TEST(suite, concat_refuses);
    ADD_TEST(suite, expand_and_tile_any);
    ADD_TEST(suite, expand_and_tile_refuse);
    ADD_TEST(suite, long_rows_are_planned_at_once);
    return run_suite(suite);
}
