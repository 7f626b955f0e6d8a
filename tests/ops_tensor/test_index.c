/* Gather, GatherElements, GatherND, ScatterElements, ScatterND, TensorScatter, ReverseSequence, against arithmetic on
 * coordinates. */
#include "tensors.h"

OPERATOR(Gather, 1);
OPERATOR(GatherElements, 11);
OPERATOR(GatherND, 12);
OPERATOR(ScatterElements, 16);
OPERATOR(ScatterND, 16);
OPERATOR(TensorScatter, 24);
OPERATOR(ReverseSequence, 10);

/* Indices into `limit` elements, negative ones too, as int32 or int64. */
static tl_tensor random_indices(tl_type type, int32_t rank, const int64_t *dims, int64_t limit)
{
    tl_tensor indices = new_tensor(type, rank, dims);
    for (int64_t i = 0; i < elements(&indices); i++)
        set(&indices, i, (double)random_int(-limit, limit - 1));
    return indices;
}

static int64_t index_at(const tl_tensor *indices, int64_t i, int64_t dim)
{
    int64_t index = (int64_t)get(indices, i);
    return index < 0 ? index + dim : index;
}

START_TEST(gather_any)
{
    random_seed(11);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(1, 4), more = (int32_t)random_int(0, 2);
        int64_t dims[4], index_dims[2], axis = random_int(0, rank - 1);
        random_dims(rank, 1, 6, dims);
        random_dims(more, round % 20 == 0 ? 0 : 1, 5, index_dims);
        tl_tensor data = random_bytes(sized_types[round % 5], rank, dims);
        tl_tensor indices = random_indices(round % 2 ? TL_INT32 : TL_INT64, more, index_dims, dims[axis]);
        fake_attribute attributes[] = {ATTR_I("axis", round % 3 ? axis : axis - rank)};
        fake_case test = CASE(&tl_op_Gather_1, attributes, &data, &indices);
        run_ok(&test);
        const tl_tensor *out = &test.outputs[0];
        ck_assert_int_eq(out->rank, rank - 1 + more);
        for (int64_t i = 0; i < elements(out); i++) {
            int64_t at[6], from[4];
            coordinates(out, i, at);
            for (int32_t k = 0; k < rank; k++)
                from[k] = k < axis ? at[k] : k > axis ? at[k + more - 1] : 0;
            from[axis] = index_at(&indices, index_of(&indices, at + axis), dims[axis]);
            ck_assert(same_element(out, i, &data, index_of(&data, from)));
        }
        fake_free(&test);
        free_tensor(&data);
        free_tensor(&indices);
    }
}
END_TEST

START_TEST(gather_and_scatter_elements)
{
    random_seed(12);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(1, 4);
        int64_t dims[4], index_dims[4], axis = random_int(0, rank - 1), at[4];
        random_dims(rank, 1, 6, dims);
        for (int32_t k = 0; k < rank; k++)
            index_dims[k] = k == axis ? random_int(0, 8) : random_int(1, dims[k]);
        tl_tensor data = random_bytes(sized_types[round % 5], rank, dims);
        tl_tensor indices = random_indices(round % 2 ? TL_INT32 : TL_INT64, rank, index_dims, dims[axis]);
        tl_tensor updates = random_bytes(data.type, rank, index_dims), want = random_bytes(data.type, rank, dims);
        fake_attribute attributes[] = {ATTR_I("axis", axis)};
        fake_case gather = CASE(&tl_op_GatherElements_11, attributes, &data, &indices);
        fake_case scatter = CASE(&tl_op_ScatterElements_16, attributes, &data, &indices, &updates);
        run_ok(&gather);
        run_ok(&scatter);
        memcpy(want.data, data.data, fake_bytes(&data));
        for (int64_t i = 0; i < elements(&indices); i++) {
            coordinates(&indices, i, at);
            at[axis] = index_at(&indices, i, dims[axis]);
            int64_t place = index_of(&data, at);
            ck_assert(same_element(&gather.outputs[0], i, &data, place));
            size_t size = element_size(data.type);
            memcpy((char *)want.data + (size_t)place * size, (char *)updates.data + (size_t)i * size, size);
        }
        for (int64_t i = 0; i < elements(&want); i++)
            ck_assert(same_element(&scatter.outputs[0], i, &want, i));
        fake_free(&gather);
        fake_free(&scatter);
        free_tensor(&data);
        free_tensor(&indices);
        free_tensor(&updates);
        free_tensor(&want);
    }
}
END_TEST

START_TEST(gather_and_scatter_tuples)
{
    random_seed(13);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(1, 4), batch = (int32_t)random_int(0, rank - 1);
        int64_t dims[4], tuple = random_int(1, rank - batch), index_dims[6];
        random_dims(rank, 1, 5, dims);
        int32_t outer = batch + (int32_t)random_int(0, 2);
        for (int32_t k = 0; k < outer; k++)
            index_dims[k] = k < batch ? dims[k] : random_int(1, 4);
        index_dims[outer] = tuple;
        tl_tensor data = random_bytes(sized_types[round % 5], rank, dims);
        tl_tensor indices = new_tensor(TL_INT64, outer + 1, index_dims);
        for (int64_t i = 0; i < elements(&indices); i++)
            set(&indices, i, (double)random_int(-dims[batch + i % tuple], dims[batch + i % tuple] - 1));
        fake_attribute attributes[] = {ATTR_I("batch_dims", batch)};
        fake_case gather = CASE(&tl_op_GatherND_12, attributes, &data, &indices);
        run_ok(&gather);
        const tl_tensor *out = &gather.outputs[0];
        for (int64_t i = 0; i < elements(out); i++) {
            int64_t at[8], from[4], here[6];
            coordinates(out, i, at);
            memcpy(here, at, sizeof here);
            for (int32_t k = 0; k < rank; k++)
                from[k] = k < batch ? at[k] : k >= batch + tuple ? at[outer + k - batch - tuple] : 0;
            for (int32_t k = 0; k < tuple; k++) {
                here[outer] = k;
                from[batch + k] = index_at(&indices, index_of(&indices, here), dims[batch + k]);
            }
            ck_assert(same_element(out, i, &data, index_of(&data, from)));
        }
        if (batch == 0) { /* what was gathered can be scattered back: nothing changes */
            fake_case scatter = PLAIN_CASE(&tl_op_ScatterND_16, &data, &indices, out);
            run_ok(&scatter);
            for (int64_t i = 0; i < elements(&data); i++)
                ck_assert(same_element(&scatter.outputs[0], i, &data, i));
            fake_free(&scatter);
        }
        fake_free(&gather);
        free_tensor(&data);
        free_tensor(&indices);
    }
}
END_TEST

START_TEST(scatter_reductions)
{
    static const char *const names[] = {"add", "mul", "max", "min"};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16,
                                    TL_INT8,  TL_UINT8,  TL_INT32,   TL_INT64};
    random_seed(14);
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t r = 0; r < COUNT(names); r++) {
            tl_tensor data = new_tensor(types[t], DIMS(5)), updates = new_tensor(types[t], DIMS(12));
            tl_tensor indices = random_indices(TL_INT64, DIMS(12), 5), tuples = indices;
            double want[5];
            for (int64_t i = 0; i < 5; i++)
                set(&data, i, want[i] = (double)random_int(0, 3));
            for (int64_t i = 0; i < 12; i++)
                set(&updates, i, (double)random_int(0, 2));
            for (int64_t i = 0; i < 12; i++) {
                double *to = &want[index_at(&indices, i, 5)], with = get(&updates, i);
                *to = r == 0       ? *to + with
                      : r == 1     ? *to * with
                      : r == 2     ? (*to > with ? *to : with)
                      : *to < with ? *to
                                   : with;
            }
            fake_attribute attributes[] = {ATTR_S("reduction", names[r])};
            fake_case scatter = CASE(&tl_op_ScatterElements_16, attributes, &data, &indices, &updates);
            tuples.rank = 2;
            tuples.dims[1] = 1;
            fake_case nd = CASE(&tl_op_ScatterND_16, attributes, &data, &tuples, &updates);
            scatter.version = nd.version = 18;
            run_ok(&scatter);
            run_ok(&nd);
            for (int64_t i = 0; i < 5; i++) {
                ck_assert_double_eq(get(&scatter.outputs[0], i), want[i]);
                ck_assert_double_eq(get(&nd.outputs[0], i), want[i]);
            }
            fake_free(&scatter);
            fake_free(&nd);
            free_tensor(&data);
            free_tensor(&updates);
            free_tensor(&indices);
        }
}
END_TEST

START_TEST(indices_out_of_range)
{
    tl_tensor data = random_bytes(TL_FLOAT, DIMS(3, 4)), updates = random_bytes(TL_FLOAT, DIMS(1, 1));
    tl_tensor row = random_bytes(TL_FLOAT, DIMS(1, 4));
    static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN};
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor index = new_tensor(TL_INT64, DIMS(1, 1));
        *(int64_t *)index.data = bad[k];
        fake_case tests[] = {PLAIN_CASE(&tl_op_Gather_1, &data, &index),
                             PLAIN_CASE(&tl_op_GatherElements_11, &data, &index),
                             PLAIN_CASE(&tl_op_GatherND_12, &data, &index),
                             PLAIN_CASE(&tl_op_ScatterElements_16, &data, &index, &updates),
                             PLAIN_CASE(&tl_op_ScatterND_16, &data, &index, &row)};
        for (size_t i = 0; i < COUNT(tests); i++)
            run_fails(&tests[i], TL_INVALID_INPUT, "out of range");
        free_tensor(&index);
    }
    tl_tensor index = new_tensor(TL_INT64, DIMS(1, 1));
    fake_attribute reduction[] = {ATTR_S("reduction", "max")}, batch[] = {ATTR_I("batch_dims", 2)};
    fake_case old = CASE(&tl_op_ScatterND_16, reduction, &data, &index, &row);
    run_fails(&old, TL_INVALID_MODEL, "version 16");
    fake_case batches = CASE(&tl_op_GatherND_12, batch, &data, &index);
    run_fails(&batches, TL_INVALID_MODEL, "batch_dims");
    fake_case shape = PLAIN_CASE(&tl_op_ScatterND_16, &data, &index, &updates);
    run_fails(&shape, TL_INVALID_INPUT, "dimension 1");
    free_tensor(&index);
    free_tensor(&data);
    free_tensor(&updates);
    free_tensor(&row);
}
END_TEST

START_TEST(tensor_scatter_writes_steps)
{
    tl_tensor past = random_bytes(TL_FLOAT16, DIMS(2, 3, 4, 5)), update = random_bytes(TL_FLOAT16, DIMS(2, 3, 2, 5));
    tl_tensor places = int64_list(2, (int64_t[]){3, 1});
    fake_attribute circular[] = {ATTR_S("mode", "circular")};
    fake_case test = CASE(&tl_op_TensorScatter_24, circular, &past, &update, &places);
    run_ok(&test);
    for (int64_t i = 0; i < elements(&past); i++) {
        int64_t at[4], step;
        coordinates(&past, i, at);
        step = (at[2] - (at[0] ? 1 : 3) + 4) % 4;
        at[2] = step;
        ck_assert(step < 2 ? same_element(&test.outputs[0], i, &update, index_of(&update, at))
                           : same_element(&test.outputs[0], i, &past, i));
    }
    fake_free(&test);
    fake_case linear = PLAIN_CASE(&tl_op_TensorScatter_24, &past, &update, &places);
    run_fails(&linear, TL_INVALID_INPUT, "write_indices[0] is 3");
    ((int64_t *)places.data)[0] = INT64_MIN;
    fake_case negative = CASE(&tl_op_TensorScatter_24, circular, &past, &update, &places);
    run_fails(&negative, TL_INVALID_INPUT, "write_indices[0]");
    free_tensor(&past);
    free_tensor(&update);
    free_tensor(&places);
}
END_TEST

/* Two elements in a byte, at odd places, against bytes that hold one each. */
START_TEST(tensor_scatter_packed)
{
    static const tl_type types[] = {TL_INT4, TL_UINT4, TL_FLOAT4E2M1};
    random_seed(12);
    for (int turn = 0; turn < 60; turn++) {
        int64_t dims[] = {2, 3, 5, random_int(1, 4)}, starts[] = {random_int(0, 4), random_int(0, 4)};
        tl_tensor inputs[2][2], places = int64_list(2, starts);
        for (int k = 0; k < 2; k++) { /* cache, update */
            inputs[0][k] = new_tensor(types[turn % 3], 4, dims);
            for (size_t i = 0; i < fake_bytes(&inputs[0][k]); i++)
                ((uint8_t *)inputs[0][k].data)[i] = (uint8_t)random_bits();
            inputs[1][k] = new_tensor(TL_UINT8, 4, dims);
            for (int64_t i = 0; i < elements(&inputs[1][k]); i++)
                set(&inputs[1][k], i, ((const uint8_t *)inputs[0][k].data)[i / 2] >> i % 2 * 4 & 15);
            dims[2] = 3;
        }
        fake_attribute circular[] = {ATTR_S("mode", "circular")};
        fake_case small = CASE(&tl_op_TensorScatter_24, circular, &inputs[0][0], &inputs[0][1], &places);
        fake_case wide = CASE(&tl_op_TensorScatter_24, circular, &inputs[1][0], &inputs[1][1], &places);
        run_ok(&small);
        run_ok(&wide);
        for (int64_t i = 0; i < elements(&wide.outputs[0]); i++)
            ck_assert_int_eq(((const uint8_t *)small.outputs[0].data)[i / 2] >> i % 2 * 4 & 15,
                             (int)get(&wide.outputs[0], i));
        fake_free(&small);
        fake_free(&wide);
        for (int k = 0; k < 4; k++)
            free_tensor(&inputs[k / 2][k % 2]);
        free_tensor(&places);
    }
}
END_TEST

START_TEST(reverse_sequence_both_ways)
{
    for (int64_t batch = 0; batch < 2; batch++) {
        tl_tensor in = random_bytes(TL_STRING, DIMS(3, 3, 2)), lengths = int64_list(3, (int64_t[]){0, 2, 3});
        fake_attribute attributes[] = {ATTR_I("batch_axis", batch), ATTR_I("time_axis", 1 - batch)};
        fake_case test = CASE(&tl_op_ReverseSequence_10, attributes, &in, &lengths);
        run_ok(&test);
        for (int64_t i = 0; i < elements(&in); i++) {
            int64_t at[3], length;
            coordinates(&in, i, at);
            length = ((int64_t *)lengths.data)[at[batch]];
            if (at[1 - batch] < length)
                at[1 - batch] = length - 1 - at[1 - batch];
            ck_assert(same_element(&test.outputs[0], i, &in, index_of(&in, at)));
        }
        fake_free(&test);
        ((int64_t *)lengths.data)[2] = 4;
        fake_case beyond = CASE(&tl_op_ReverseSequence_10, attributes, &in, &lengths);
        run_fails(&beyond, TL_INVALID_INPUT, "sequence_lens[2] is 4");
        free_tensor(&in);
        free_tensor(&lengths);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    ADD_TEST(suite, gather_any);
    ADD_TEST(suite, gather_and_scatter_elements);
    ADD_TEST(suite, gather_and_scatter_tuples);
    ADD_TEST(suite, scatter_reductions);
    ADD_TEST(suite, indices_out_of_range);
    ADD_TEST(suite, tensor_scatter_writes_steps);
    ADD_TEST(suite, tensor_scatter_packed);
    ADD_TEST(suite, reverse_sequence_both_ways);
    return run_suite(suite);
}
