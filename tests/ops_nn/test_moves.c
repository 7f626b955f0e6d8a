/* ConvInteger and QLinearConv, CausalConvWithState, DepthToSpace and SpaceToDepth. */
#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_ConvInteger_10, tl_op_QLinearConv_10, tl_op_CausalConvWithState_27;
extern const tl_operator tl_op_DepthToSpace_11, tl_op_SpaceToDepth_28, tl_op_SpaceToDepth_1;

/* Two groups, over one axis, stride 2, pads 1 and 2. */
static double naive_sum(const tl_tensor *x, const tl_tensor *w, double xz, const tl_tensor *wz, int64_t n, int64_t m,
                        int64_t t)
{
    double sum = 0;
    for (int64_t c = 0; c < 3; c++)
        for (int64_t k = 0; k < 4; k++) {
            int64_t at = 2 * t + k - 1;
            if (at >= 0 && at < 20)
                sum += (get(x, (n * 6 + m / 2 * 3 + c) * 20 + at) - xz) *
                       (get(w, (m * 3 + c) * 4 + k) - get(wz, elements(wz) > 1 ? m : 0));
        }
    return sum;
}

/* One channel, whose taps go together where no zero point of constant filters forbids it. */
START_TEST(one_channel_of_bytes)
{
    random_seed(31);
    for (int round = 0; round < 300; round++) {
        const int64_t batch = random_int(1, 2), length = random_int(1, 150), filters = random_int(1, 40);
        const int64_t dilation = random_int(1, 3), stride = random_int(1, 5), begin = random_int(0, 20);
        const int64_t end = random_int(0, 20), most = (begin + length + end - 1) / dilation + 1;
        const int64_t taps = random_int(1, (int)(most < 70 ? most : 70));
        const int64_t out = (begin + length + end - (taps - 1) * dilation - 1) / stride + 1;
        const fake_attribute attributes[] = {ATTR_IS("strides", stride), ATTR_IS("pads", begin, end),
                                             ATTR_IS("dilations", dilation)};
        tl_tensor x = random_tensor(round % 2 ? TL_INT8 : TL_UINT8, DIMS(batch, 1, length)),
                  w = random_tensor(round % 8 == 7 ? TL_UINT8 : TL_INT8, DIMS(filters, 1, taps)),
                  xz = new_tensor(x.type, 0, NULL), wz = new_tensor(w.type, DIMS(filters));
        set(&xz, 0, random_int(0, 100));
        for (int64_t m = 0; m < filters; m++)
            set(&wz, m, round % 8 == 6 ? (double)(m % 3) : 0);
        fake_case test = {.op = &tl_op_ConvInteger_10,
                          .attributes = attributes,
                          .attribute_count = 3,
                          .inputs = {&x, &w, &xz, round % 3 ? &wz : NULL},
                          .input_count = 4,
                          .constant = round % 5 ? 0xe : 0x2};
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(batch, filters, out));
        for (int64_t i = 0; i < batch * filters * out; i++) {
            const int64_t n = i / out / filters, m = i / out % filters, t = i % out;
            double sum = 0;
            for (int64_t k = 0; k < taps; k++) {
                const int64_t at = t * stride + k * dilation - begin;
                if (at >= 0 && at < length)
                    sum += (get(&x, n * length + at) - get(&xz, 0)) *
                           (get(&w, m * taps + k) - (round % 3 ? get(&wz, m) : 0));
            }
            ck_assert_msg(get(&test.outputs[0], i) == sum, "round %d: %g, not %g", round, get(&test.outputs[0], i),
                          sum);
        }
        fake_free(&test);
        tl_tensor *all[] = {&x, &w, &xz, &wz};
        for (size_t i = 0; i < 4; i++)
            free_tensor(all[i]);
    }
}
END_TEST

START_TEST(byte_convolutions)
{
    const fake_attribute attributes[] = {ATTR_I("group", 2), ATTR_IS("strides", 2), ATTR_IS("pads", 1, 2)};
    enum { INTEGER_WEIGHTS = 1 << 1, INTEGER_ALL = 0xe, LINEAR_WEIGHTS = 1 << 3, LINEAR_ALL = 0x1fe };
    static const uint64_t integer_constants[] = {0, INTEGER_WEIGHTS, INTEGER_ALL},
                          linear_constants[] = {0, LINEAR_WEIGHTS, LINEAR_ALL};
    for (int kind = 0; kind < 12; kind++) {
        const tl_type tx = kind & 1 ? TL_INT8 : TL_UINT8, tw = kind & 1 ? TL_UINT8 : TL_INT8;
        const int64_t each = kind & 2 ? 4 : 1;
        tl_tensor x = random_tensor(tx, DIMS(2, 6, 20)), w = random_tensor(tw, DIMS(4, 3, 4));
        tl_tensor xz = random_tensor(tx, 0, NULL), wz = random_tensor(tw, DIMS(each)),
                  b = random_tensor(TL_INT32, DIMS(4));
        tl_tensor xs = random_tensor(TL_FLOAT, 0, NULL), ws = random_tensor(TL_FLOAT, DIMS(each)),
                  ys = new_tensor(TL_FLOAT, 0, NULL);
        tl_tensor yz = random_tensor(tx, 0, NULL);
        set(&ys, 0, 21.25);
        fake_case integer = {.op = &tl_op_ConvInteger_10,
                             .attributes = attributes,
                             .attribute_count = 3,
                             .inputs = {&x, &w, &xz, &wz},
                             .input_count = 4,
                             .constant = integer_constants[kind / 4]};
        fake_case linear = {.op = &tl_op_QLinearConv_10,
                            .attributes = attributes,
                            .attribute_count = 3,
                            .inputs = {&x, &xs, &xz, &w, &ws, &wz, &ys, &yz, &b},
                            .input_count = 9,
                            .constant = linear_constants[kind / 4]};
        run_ok(&integer);
        run_ok(&linear);
        assert_shape(&integer.outputs[0], DIMS(2, 4, 10));
        assert_shape(&linear.outputs[0], DIMS(2, 4, 10));
        for (int64_t i = 0; i < 80; i++) {
            int64_t m = i / 10 % 4;
            double sum = naive_sum(&x, &w, get(&xz, 0), &wz, i / 40, m, i % 10);
            ck_assert(get(&integer.outputs[0], i) == sum);
            double v = (sum + get(&b, m)) * (get(&xs, 0) * get(&ws, each > 1 ? m : 0) / get(&ys, 0));
            v = fmin(fmax(rint(v) + get(&yz, 0), tx == TL_INT8 ? -128 : 0), tx == TL_INT8 ? 127 : 255);
            ck_assert_msg(get(&linear.outputs[0], i) == v, "%g, not %g", get(&linear.outputs[0], i), v);
        }
        fake_free(&integer);
        fake_free(&linear);
        integer.inputs[2] = &x;
        run_fails(&integer, TL_INVALID_INPUT, "input 2");
        tl_tensor *all[] = {&x, &w, &xz, &wz, &b, &xs, &ws, &ys, &yz};
        for (size_t i = 0; i < 9; i++)
            free_tensor(all[i]);
    }
}
END_TEST

/* Channels with filters of their own: taps of every remainder of strides and dilations, in rows of images. */
START_TEST(byte_channels)
{
    enum { CHANNELS = 3, ROWS = 5, COLUMNS = 60 };
    for (int64_t i = 0; i < 400; i++) {
        const int64_t stride = 1 + i % 4, apart = 1 + i * 7 % 15, taps = 1 + i * 5 % 9, pad = i % 3 * 4,
                      row_stride = 1 + i % 2;
        const fake_attribute attributes[] = {ATTR_I("group", CHANNELS), ATTR_IS("strides", row_stride, stride),
                                             ATTR_IS("dilations", 1, apart), ATTR_IS("pads", 1, pad, 0, 2 * pad)};
        const tl_type tx = i & 1 ? TL_INT8 : TL_UINT8, tw = i & 2 ? TL_UINT8 : TL_INT8;
        const int64_t extent = (taps - 1) * apart + 1, height = (ROWS + 1 - 2) / row_stride + 1,
                      width = (COLUMNS + 3 * pad - extent) / stride + 1;
        if (COLUMNS + 3 * pad < extent)
            continue;
        tl_tensor x = random_tensor(tx, DIMS(2, CHANNELS, ROWS, COLUMNS)),
                  w = random_tensor(tw, DIMS(CHANNELS, 1, 2, taps)), xz = random_tensor(tx, 0, NULL),
                  wz = i & 4 ? random_tensor(tw, 0, NULL) : new_tensor(tw, 0, NULL);
        fake_case test = {.op = &tl_op_ConvInteger_10,
                          .attributes = attributes,
                          .attribute_count = 4,
                          .inputs = {&x, &w, &xz, &wz},
                          .input_count = 4};
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, CHANNELS, height, width));
        for (int64_t at = 0; at < elements(&test.outputs[0]); at++) {
            const int64_t plane = at / width / height, row = at / width % height * row_stride - 1,
                          column = at % width * stride - pad;
            double sum = 0;
            for (int64_t k = 0; k < 2 * taps; k++) {
                const int64_t r = row + k / taps, c = column + k % taps * apart;
                if (r >= 0 && r < ROWS && c >= 0 && c < COLUMNS)
                    sum += (get(&x, (plane * ROWS + r) * COLUMNS + c) - get(&xz, 0)) *
                           (get(&w, plane % CHANNELS * 2 * taps + k) - get(&wz, 0));
            }
            ck_assert_msg(get(&test.outputs[0], at) == sum, "%d taps, %d apart, stride %d: %g at %d, not %g", (int)taps,
                          (int)apart, (int)stride, get(&test.outputs[0], at), (int)at, sum);
        }
        fake_free(&test);
        tl_tensor *all[] = {&x, &w, &xz, &wz};
        for (size_t k = 0; k < 4; k++)
            free_tensor(all[k]);
    }
}
END_TEST

/* Few results of windows whose pixels no memory could hold. */
START_TEST(far_bytes)
{
    const int64_t far = INT64_C(1) << 40;
    const fake_attribute attributes[] = {ATTR_IS("dilations", far, far), ATTR_IS("pads", far, far, 0, 0)};
    tl_tensor x = random_tensor(TL_UINT8, DIMS(1, 1, 3, 3)), w = random_tensor(TL_UINT8, DIMS(1, 1, 2, 2));
    fake_case test = {.op = &tl_op_ConvInteger_10,
                      .attributes = attributes,
                      .attribute_count = 2,
                      .inputs = {&x, &w},
                      .input_count = 2};
    run_fails(&test, TL_NO_MEMORY, NULL);
    free_tensor(&x);
    free_tensor(&w);
}
END_TEST

/* Piece by piece with the state carried over is the same, to the bit, as all at once. */
START_TEST(causal)
{
    static const tl_type types[] = {TL_FLOAT, TL_FLOAT16, TL_BFLOAT16};
    const fake_attribute attributes[] = {ATTR_S("activation", "silu")};
    for (int t = 0; t < 3; t++)
        for (size_t silu = 0; silu < 2; silu++)
            for (int64_t kernel = 1; kernel < 6; kernel++) {
                tl_tensor x = random_tensor(types[t], DIMS(2, 3, 17)), w = random_tensor(types[t], DIMS(3, 1, kernel));
                tl_tensor b = random_tensor(types[t], DIMS(3)), past = random_tensor(types[t], DIMS(2, 3, kernel - 1));
                fake_case whole = {.op = &tl_op_CausalConvWithState_27,
                                   .attributes = attributes,
                                   .attribute_count = silu,
                                   .inputs = {&x, &w, &b, &past},
                                   .input_count = 4};
                run_ok(&whole);
                double want[102];
                for (int64_t i = 0; i < 102; i++) {
                    int64_t channel = i / 17, at = i % 17;
                    want[i] = get(&b, channel % 3);
                    for (int64_t k = 0; k < kernel; k++) {
                        int64_t from = at + k - (kernel - 1);
                        double v = from < 0 ? get(&past, channel * (kernel - 1) + from + kernel - 1)
                                            : get(&x, channel * 17 + from);
                        want[i] += v * get(&w, channel % 3 * kernel + k);
                    }
                    want[i] = silu ? want[i] / (1 + exp(-want[i])) : want[i];
                }
                assert_near(&whole.outputs[0], want, 3, "CausalConvWithState");
                tl_tensor state = past;
                fake_case piece = whole;
                for (int64_t start = 0; start < 17; start += 3) {
                    const int64_t n = start + 3 > 17 ? 17 - start : 3;
                    tl_tensor part = new_tensor(types[t], DIMS(2, 3, n));
                    for (int64_t i = 0; i < 6 * n; i++)
                        set(&part, i, get(&x, i / n * 17 + start + i % n));
                    piece.inputs[0] = &part;
                    piece.inputs[3] = &state;
                    run_ok(&piece);
                    for (int64_t i = 0; i < 6 * n; i++)
                        ck_assert(get(&piece.outputs[0], i) == get(&whole.outputs[0], i / n * 17 + start + i % n));
                    free_tensor(&state);
                    state = piece.outputs[1];
                    piece.outputs[1].data = NULL;
                    fake_free(&piece);
                    free_tensor(&part);
                }
                for (int64_t i = 0; i < elements(&state); i++)
                    ck_assert(get(&state, i) == get(&whole.outputs[1], i));
                free_tensor(&state);
                fake_free(&whole);
                free_tensor(&x);
                free_tensor(&w);
                free_tensor(&b);
            }
}
END_TEST

START_TEST(depth_and_space)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_UINT8, TL_FLOAT16};
    for (int t = 0; t < 4; t++)
        for (int crd = 0; crd < 2; crd++)
            for (int64_t block = 1; block < 4; block++) {
                const int64_t square = block * block;
                const fake_attribute attributes[] = {ATTR_I("blocksize", block), ATTR_S("mode", crd ? "CRD" : "DCR")};
                tl_tensor x = random_tensor(types[t], DIMS(2, 3 * square, 4, 5));
                fake_case there = {.op = &tl_op_DepthToSpace_11,
                                   .attributes = attributes,
                                   .attribute_count = 2,
                                   .inputs = {&x},
                                   .input_count = 1};
                run_ok(&there);
                const tl_tensor *y = &there.outputs[0];
                assert_shape(y, DIMS(2, 3, 4 * block, 5 * block));
                for (int64_t i = 0; i < elements(y); i++) {
                    int64_t w = i % (5 * block), h = i / (5 * block) % (4 * block), c = i / (20 * square) % 3,
                            n = i / (60 * square);
                    int64_t inner = h % block * block + w % block, depth = crd ? c * square + inner : inner * 3 + c;
                    ck_assert(get(y, i) == get(&x, ((n * 3 * square + depth) * 4 + h / block) * 5 + w / block));
                }
                fake_case back = {.op = &tl_op_SpaceToDepth_28,
                                  .attributes = attributes,
                                  .attribute_count = 2,
                                  .inputs = {y},
                                  .input_count = 1};
                run_ok(&back);
                assert_shape(&back.outputs[0], 4, x.dims);
                ck_assert_mem_eq(back.outputs[0].data, x.data, fake_bytes(&x));
                fake_free(&back);
                fake_free(&there);
                free_tensor(&x);
            }
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 3, 4, 4));
    const fake_attribute two[] = {ATTR_I("blocksize", 2)}, huge[] = {ATTR_I("blocksize", INT64_C(1) << 40)};
    const fake_attribute three[] = {ATTR_I("blocksize", 3)}, none[] = {ATTR_I("blocksize", 0)};
    fake_case test = {
        .op = &tl_op_DepthToSpace_11, .attributes = two, .attribute_count = 1, .inputs = {&x}, .input_count = 1};
    run_fails(&test, TL_INVALID_INPUT, "divide");
    test.attributes = huge;
    run_fails(&test, TL_INVALID_MODEL, "blocksize");
    test.op = &tl_op_SpaceToDepth_1;
    test.attributes = three;
    run_fails(&test, TL_INVALID_INPUT, "dimension 2");
    test.attributes = none;
    run_fails(&test, TL_INVALID_MODEL, "blocksize is 0");
    free_tensor(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Bytes, states and places");
    ADD_TEST(suite, byte_convolutions);
    ADD_TEST(suite, one_channel_of_bytes);
    ADD_TEST(suite, byte_channels);
    ADD_TEST(suite, far_bytes);
    ADD_TEST(suite, causal);
    ADD_TEST(suite, depth_and_space);
    return run_suite(suite);
}
