#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_DFT_17, tl_op_DFT_20, tl_op_STFT_17, tl_op_HannWindow_17, tl_op_HammingWindow_17;
extern const tl_operator tl_op_BlackmanWindow_17, tl_op_MelWeightMatrix_17;

static const double turn = 6.283185307179586476925286766559;

static tl_tensor scalar(tl_type type, double value)
{
    tl_tensor t = new_tensor(type, 0, NULL);
    set(&t, 0, value);
    return t;
}

/* Spectrum bin k of n numbers (re, im). */
static void naive_bin(const double *x, int64_t n, int64_t k, int sign, double *re, double *im)
{
    *re = *im = 0;
    for (int64_t j = 0; j < n; j++) {
        double angle = sign * turn * (double)(j * k % n) / (double)n;
        *re += x[2 * j] * cos(angle) - x[2 * j + 1] * sin(angle);
        *im += x[2 * j] * sin(angle) + x[2 * j + 1] * cos(angle);
    }
}

/* Along axis 1 of (2, size, 3, parts). */
static void check_dft(tl_type type, int64_t size, int64_t length, int parts, bool inverse, bool onesided)
{
    const bool irfft = inverse && onesided;
    const int64_t n = length ? length : irfft ? 2 * (size - 1) : size, written = onesided && !inverse ? n / 2 + 1 : n;
    tl_tensor x = random_tensor(type, DIMS(2, size, 3, parts)), given = scalar(TL_INT64, (double)length);
    tl_tensor axis = scalar(TL_INT64, -3);
    const fake_attribute attributes[] = {ATTR_I("inverse", inverse), ATTR_I("onesided", onesided)};
    fake_case test = {.op = &tl_op_DFT_20,
                      .attributes = attributes,
                      .attribute_count = 2,
                      .inputs = {&x, length ? &given : NULL, &axis},
                      .input_count = 3,
                      .constant = length ? 6 : 4};
    run_ok(&test);
    const int results = irfft ? 1 : 2;
    assert_shape(&test.outputs[0], DIMS(2, written, 3, results));
    double *want = malloc((size_t)(6 * written * results) * sizeof *want),
           *signal = calloc((size_t)n * 2, sizeof *signal);
    for (int64_t o = 0; o < 2; o++)
        for (int64_t i = 0; i < 3; i++) {
            for (int64_t j = 0; j < n; j++) {
                bool mirrored = irfft && j > n / 2;
                int64_t from = mirrored ? n - j : j, at = ((o * size + from) * 3 + i) * parts;
                bool there = from < size;
                signal[2 * j] = there ? get(&x, at) : 0;
                signal[2 * j + 1] = there && parts == 2 ? get(&x, at + 1) : 0;
                if (mirrored)
                    signal[2 * j + 1] = -signal[2 * j + 1];
            }
            for (int64_t k = 0; k < written; k++) {
                double re, im;
                naive_bin(signal, n, k, inverse ? 1 : -1, &re, &im);
                int64_t at = ((o * written + k) * 3 + i) * results;
                want[at] = inverse ? re / (double)n : re;
                if (results == 2)
                    want[at + 1] = inverse ? im / (double)n : im;
            }
        }
    assert_near(&test.outputs[0], want, 5 * sqrt((double)n), "DFT");
    free(want);
    free(signal);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&given);
    free_tensor(&axis);
}

START_TEST(transforms)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    for (int64_t size = 1; size <= 70; size += size < 20 ? 1 : 7)
        for (int kind = 0; kind < 6; kind++) {
            bool inverse = kind % 2 != 0, onesided = kind >= 4;
            int parts = kind < 2 ? 1 : kind < 4 ? 2 : inverse ? 2 : 1;
            if (!(inverse && onesided && size == 1))
                check_dft(types[(size + kind) % 4], size, 0, parts, inverse, onesided);
            check_dft(types[(size + kind + 1) % 4], size, size + 5, parts, inverse, onesided);
            check_dft(types[(size + kind + 2) % 4], size, (size + 1) / 2, parts, inverse, onesided);
        }
    check_dft(TL_DOUBLE, 400, 0, 1, false, true);
    check_dft(TL_DOUBLE, 512, 0, 2, true, false);
    check_dft(TL_FLOAT, 97, 0, 1, false, true);
    for (int64_t size = 163; size <= 652; size *= 2) { /* a large prime factor, alone or not */
        check_dft(TL_DOUBLE, size, 0, 1, false, true);
        check_dft(TL_DOUBLE, size, 0, 1, false, false);
        check_dft(TL_DOUBLE, size, 0, 2, false, false);
        check_dft(TL_DOUBLE, size, 0, 2, true, false);
        check_dft(TL_FLOAT, size / 2 + 1, size, 2, true, true);
    }
}
END_TEST

static void check_stft(tl_type type, int64_t length, int64_t n, int64_t step, int parts, bool onesided,
                       bool window_given, bool length_given)
{
    const int64_t frames = (length - n) / step + 1, bins = onesided ? n / 2 + 1 : n;
    tl_tensor x = random_tensor(type, DIMS(2, length, parts)), window = random_tensor(type, DIMS(n));
    tl_tensor steps = scalar(TL_INT32, (double)step), given = scalar(TL_INT32, (double)n);
    const fake_attribute attributes[] = {ATTR_I("onesided", onesided)};
    fake_case test = {.op = &tl_op_STFT_17,
                      .attributes = attributes,
                      .attribute_count = 1,
                      .inputs = {&x, &steps, window_given ? &window : NULL, length_given ? &given : NULL},
                      .input_count = 4,
                      .constant = length_given ? 10 : 2};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(2, frames, bins, 2));
    double *want = malloc((size_t)(4 * frames * bins) * sizeof *want), *signal = calloc((size_t)n * 2, sizeof *signal);
    for (int64_t f = 0; f < 2 * frames; f++) {
        for (int64_t j = 0; j < n; j++)
            for (int part = 0; part < parts; part++)
                signal[2 * j + part] = get(&x, (f / frames * length + f % frames * step + j) * parts + part) *
                                       (window_given ? get(&window, j) : 1);
        for (int64_t k = 0; k < bins; k++)
            naive_bin(signal, n, k, -1, &want[2 * (f * bins + k)], &want[2 * (f * bins + k) + 1]);
    }
    assert_near(&test.outputs[0], want, 5 * sqrt((double)n), "STFT");
    free(want);
    free(signal);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&window);
    free_tensor(&steps);
    free_tensor(&given);
}

START_TEST(short_time)
{
    check_stft(TL_FLOAT, 128, 16, 8, 1, true, true, true);
    check_stft(TL_FLOAT, 128, 16, 8, 1, true, true, false);
    check_stft(TL_FLOAT, 130, 25, 7, 1, true, false, true);
    check_stft(TL_DOUBLE, 100, 20, 3, 1, false, true, true);
    check_stft(TL_DOUBLE, 100, 15, 3, 2, false, true, true);
    check_stft(TL_FLOAT16, 60, 12, 6, 1, true, true, false);
    check_stft(TL_FLOAT, 33, 33, 1, 1, true, true, false);
}
END_TEST

START_TEST(windows)
{
    static const tl_operator *const operators[] = {&tl_op_HannWindow_17, &tl_op_HammingWindow_17,
                                                   &tl_op_BlackmanWindow_17};
    static const double a[3][3] = {{0.5, 0.5, 0}, {25.0 / 46, 21.0 / 46, 0}, {0.42, 0.5, 0.08}};
    for (int w = 0; w < 3; w++)
        for (int periodic = 0; periodic < 2; periodic++)
            for (int64_t n = 0; n < 12; n++)
                for (int known = 0; known < 2; known++) {
                    const fake_attribute attributes[] = {ATTR_I("periodic", periodic),
                                                         ATTR_I("output_datatype", TL_DOUBLE)};
                    tl_tensor size = scalar(TL_INT32, (double)n);
                    fake_case test = {.op = operators[w],
                                      .attributes = attributes,
                                      .attribute_count = 2,
                                      .inputs = {&size},
                                      .input_count = 1,
                                      .constant = (uint64_t)known};
                    run_ok(&test);
                    ck_assert_int_eq(test.outputs[0].type, TL_DOUBLE);
                    assert_shape(&test.outputs[0], DIMS(n));
                    double want[12];
                    for (int64_t i = 0; i < n; i++) {
                        double x = turn * (double)i / (double)(periodic ? n : n - 1);
                        want[i] = n == 1 ? 1 : a[w][0] - a[w][1] * cos(x) + a[w][2] * cos(2 * x);
                    }
                    assert_near(&test.outputs[0], want, 1, "window");
                    fake_free(&test);
                    free_tensor(&size);
                }
}
END_TEST

/* A row for each bin of the spectrum: triangles whose peaks are 1. */
START_TEST(mel_weights)
{
    tl_tensor in[] = {scalar(TL_INT64, 8), scalar(TL_INT64, 64), scalar(TL_INT64, 8192), scalar(TL_FLOAT, 0),
                      scalar(TL_FLOAT, 4096)};
    fake_case test = {.op = &tl_op_MelWeightMatrix_17,
                      .inputs = {&in[0], &in[1], &in[2], &in[3], &in[4]},
                      .input_count = 5,
                      .constant = 31};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(33, 8));
    int64_t edges[10];
    for (int i = 0; i < 10; i++) {
        double mel = 2595 * log10(1 + 4096.0 / 700) * i / 10;
        edges[i] = (int64_t)floor(65 * 700 * (pow(10, mel / 2595) - 1) / 8192);
    }
    for (int64_t c = 0; c < 8; c++)
        for (int64_t j = 0; j < 33; j++) {
            double want = 0;
            if (j == edges[c + 1] && (edges[c + 1] == edges[c] || edges[c + 2] > edges[c + 1]))
                want = 1;
            else if (j >= edges[c] && j <= edges[c + 1])
                want = (double)(j - edges[c]) / (double)(edges[c + 1] - edges[c]);
            else if (j > edges[c + 1] && j < edges[c + 2])
                want = (double)(edges[c + 2] - j) / (double)(edges[c + 2] - edges[c + 1]);
            ck_assert_msg(get(&test.outputs[0], j * 8 + c) == (float)want, "(%lld, %lld) is %g, not %g", (long long)j,
                          (long long)c, get(&test.outputs[0], j * 8 + c), want);
        }
    fake_free(&test);
    set(&in[2], 0, 0);
    run_fails(&test, TL_INVALID_INPUT, "sample_rate");
    set(&in[2], 0, 1); /* the edges lie far outside the spectrum */
    run_ok(&test);
    fake_free(&test);
    set(&in[3], 0, -1e30);
    run_fails(&test, TL_INVALID_INPUT, "edges");
    set(&in[1], 0, -5);
    run_fails(&test, TL_INVALID_INPUT, "dft_length");
    for (int i = 0; i < 5; i++)
        free_tensor(&in[i]);
}
END_TEST

START_TEST(hostile)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 8, 1)), bad = random_tensor(TL_FLOAT, DIMS(1, 8, 3));
    tl_tensor complex_x = random_tensor(TL_FLOAT, DIMS(1, 8, 2)), zero = scalar(TL_INT64, 0),
              nine = scalar(TL_INT64, 9);
    tl_tensor far = scalar(TL_INT64, 0x1p40), last = scalar(TL_INT64, 2);
    const fake_attribute onesided[] = {ATTR_I("onesided", 1)};
    fake_case dft = {.op = &tl_op_DFT_20, .inputs = {&bad}, .input_count = 3};
    run_fails(&dft, TL_INVALID_INPUT, "last dimension is 3");
    dft.inputs[0] = &complex_x;
    dft.attributes = onesided;
    dft.attribute_count = 1;
    run_fails(&dft, TL_INVALID_INPUT, "real");
    dft.inputs[0] = &x;
    dft.inputs[1] = &zero;
    run_fails(&dft, TL_INVALID_INPUT, "dft_length is 0");
    dft.inputs[1] = &far;
    dft.constant = 2;
    run_fails(&dft, TL_NO_MEMORY, NULL);
    dft.inputs[1] = NULL;
    dft.inputs[2] = &last;
    run_fails(&dft, TL_INVALID_MODEL, "complex");
    fake_case stft = {.op = &tl_op_STFT_17, .inputs = {&x, &zero}, .input_count = 4};
    run_fails(&stft, TL_INVALID_INPUT, "frame_step is 0");
    stft.inputs[1] = &nine;
    stft.inputs[3] = &nine;
    run_fails(&stft, TL_INVALID_INPUT, "frames have 9");
    stft.inputs[0] = &complex_x;
    run_fails(&stft, TL_INVALID_INPUT, "onesided");
    fake_case window = {.op = &tl_op_HannWindow_17, .inputs = {&far}, .input_count = 1};
    run_fails(&window, TL_NO_MEMORY, NULL);
    free_tensor(&x);
    free_tensor(&bad);
    free_tensor(&complex_x);
    free_tensor(&zero);
    free_tensor(&nine);
    free_tensor(&far);
    free_tensor(&last);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Signals");
    ADD_TEST(suite, transforms);
    ADD_TEST(suite, short_time);
    ADD_TEST(suite, windows);
    ADD_TEST(suite, mel_weights);
    ADD_TEST(suite, hostile);
    return run_suite(suite);
}
