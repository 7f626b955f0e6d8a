/* Resize against one sum per element in double; Einsum against one sum over all letters; Det by hand. */
#include "tensors.h"
#include <math.h>

OPERATOR(Resize, 11);
OPERATOR(Resize, 18);
OPERATOR(Upsample, 1);
OPERATOR(Upsample, 7);
OPERATOR(Upsample, 9);
OPERATOR(Einsum, 12);
OPERATOR(Det, 11);

/* ---- Resize */

typedef struct resample {
    const char *map, *mode, *nearest;
    bool antialias, exclude;
    double scale, a;
} resample;

static double source(const resample *r, int64_t o, int64_t in, int64_t out)
{
    double x = (double)o, width = r->scale * (double)in;
    if (strcmp(r->map, "asymmetric") == 0)
        return x / r->scale;
    if (strcmp(r->map, "align_corners") == 0)
        return width == 1 ? 0 : x * (double)(in - 1) / (width - 1);
    if (strcmp(r->map, "pytorch_half_pixel") == 0 && width == 1)
        return -0.5;
    /* In the order of the standard's formula: nearest depends on the last bit where it falls between two. */
    double offset = strcmp(r->map, "half_pixel_symmetric") == 0 ? (double)in / 2 * (1 - (double)out / width) : 0;
    return offset + (x + 0.5) / r->scale - 0.5;
}

static double weight(const resample *r, double x)
{
    x = fabs(x);
    if (strcmp(r->mode, "linear") == 0)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return (r->a + 2) * x * x * x - (r->a + 3) * x * x + 1;
    return x < 2 ? r->a * x * x * x - 5 * r->a * x * x + 8 * r->a * x - 4 * r->a : 0;
}

/* How much element i of an axis counts for element o of the result: the full row of weights. */
static void weights_of(const resample *r, int64_t o, int64_t in, int64_t out, double *row)
{
    double at = source(r, o, in, out), sum = 0, narrow = r->antialias && r->scale < 1 ? r->scale : 1;
    memset(row, 0, (size_t)in * sizeof row[0]);
    if (strcmp(r->mode, "nearest") == 0) {
        double n = strcmp(r->nearest, "floor") == 0               ? floor(at)
                   : strcmp(r->nearest, "ceil") == 0              ? ceil(at)
                   : strcmp(r->nearest, "round_prefer_ceil") == 0 ? floor(at + 0.5)
                                                                  : ceil(at - 0.5);
        row[(int64_t)fmin(fmax(n, 0), (double)(in - 1))] = 1;
        return;
    }
    for (int64_t i = (int64_t)floor(at) - 40; i <= (int64_t)ceil(at) + 40; i++) {
        double w = weight(r, ((double)i - at) * narrow);
        if (r->exclude && (i < 0 || i >= in))
            continue;
        sum += w;
        row[i < 0 ? 0 : i >= in ? in - 1 : i] += w;
    }
    for (int64_t i = 0; i < in && (r->antialias || r->exclude); i++)
        row[i] /= sum;
}

static void check_resize(tl_type type, const resample *r, double height_scale, double width_scale)
{
    tl_tensor x = random_tensor(type, DIMS(2, 5, 7));
    tl_tensor scales = float_list(2, (float[]){(float)height_scale, (float)width_scale});
    fake_attribute attributes[] = {ATTR_S("coordinate_transformation_mode", r->map),
                                   ATTR_S("mode", r->mode),
                                   ATTR_S("nearest_mode", r->nearest),
                                   ATTR_I("antialias", r->antialias),
                                   ATTR_I("exclude_outside", r->exclude),
                                   ATTR_F("cubic_coeff_a", (float)r->a),
                                   ATTR_IS("axes", 1, -1)};
    fake_case test = CASE(&tl_op_Resize_18, attributes, &x, NULL, &scales);
    run_ok(&test);
    const tl_tensor *y = &test.outputs[0];
    double rows[2][64], *want = calloc((size_t)elements(y) + 1, sizeof *want);
    for (int64_t i = 0; i < elements(y); i++) {
        int64_t at[3];
        coordinates(y, i, at);
        for (int k = 0; k < 2; k++) {
            resample axis = *r;
            axis.scale = (float)(k ? width_scale : height_scale);
            weights_of(&axis, at[k + 1], x.dims[k + 1], y->dims[k + 1], rows[k]);
        }
        for (int64_t h = 0; h < 5; h++)
            for (int64_t w = 0; w < 7; w++)
                want[i] += rows[0][h] * rows[1][w] * get(&x, (at[0] * 5 + h) * 7 + w);
    }
    assert_near(y, want, 1, r->map);
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&scales);
}

START_TEST(resize_any)
{
    static const char *const maps[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                       "asymmetric"};
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    /* Exact in binary: nearest must not depend on the last bit of a quotient. */
    static const double scales[] = {0.5, 1, 2, 4, 0.25, 1.5, 0.75};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(31);
    for (int round = 0; round < 600; round++) {
        resample r = {maps[random_int(0, 4)],
                      modes[random_int(0, 2)],
                      nearest[random_int(0, 3)],
                      random_int(0, 1),
                      random_int(0, 1),
                      1,
                      random_int(0, 1) ? -0.75 : -0.5};
        if (strcmp(r.mode, "nearest") == 0)
            r.antialias = r.exclude = false;
        check_resize(types[round % 4], &r, scales[random_int(0, 6)], scales[random_int(0, 6)]);
    }
}
END_TEST

START_TEST(resize_integers_round_and_hold)
{
    tl_tensor x = new_tensor(TL_UINT8, DIMS(4)), scales = float_list(1, (float[]){2});
    static const double values[] = {0, 255, 255, 0};
    for (int64_t i = 0; i < 4; i++)
        set(&x, i, values[i]);
    fake_attribute attributes[] = {ATTR_S("mode", "cubic")};
    fake_case test = CASE(&tl_op_Resize_11, attributes, &x, NULL, &scales);
    run_ok(&test);
    /* Cubic weights overshoot: 0 - something, 255 + something. */
    ck_assert_double_eq(get(&test.outputs[0], 0), 0);
    ck_assert_double_eq(get(&test.outputs[0], 3), 255);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&scales);
}
END_TEST

START_TEST(resize_crop_and_sizes)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(5)), sizes = int64_list(1, (int64_t[]){4});
    tl_tensor roi = float_list(2, (float[]){0.5f, 1.25f});
    fake_attribute crop[] = {ATTR_S("coordinate_transformation_mode", "tf_crop_and_resize"), ATTR_S("mode", "linear"),
                             ATTR_F("extrapolation_value", 9)};
    fake_case test = CASE(&tl_op_Resize_11, crop, &x, &roi, NULL, &sizes);
    run_ok(&test);
    /* Places 2, 3, 4 and 5: the last lies outside. */
    for (int64_t i = 0; i < 4; i++)
        ck_assert_double_eq_tol(get(&test.outputs[0], i), i < 3 ? get(&x, i + 2) : 9, 1e-6);
    fake_free(&test);
    tl_tensor image = random_tensor(TL_FLOAT, DIMS(4, 6)), box = int64_list(2, (int64_t[]){8, 9});
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    static const int64_t want[][2] = {{8, 9}, {6, 9}, {8, 12}};
    for (int k = 0; k < 3; k++) {
        fake_attribute keep[] = {ATTR_S("keep_aspect_ratio_policy", policies[k])};
        fake_case policy = CASE(&tl_op_Resize_18, keep, &image, NULL, NULL, &box);
        run_ok(&policy);
        assert_shape(&policy.outputs[0], 2, want[k]);
        fake_free(&policy);
    }
    free_tensor(&x);
    free_tensor(&sizes);
    free_tensor(&roi);
    free_tensor(&image);
    free_tensor(&box);
}
END_TEST

START_TEST(upsample_all_forms)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 2, 2, 3)), scales = float_list(4, (float[]){1, 1, 2, 3});
    fake_attribute first[] = {ATTR_F("height_scale", 2), ATTR_F("width_scale", 3)};
    fake_attribute list[] = {ATTR_FS("scales", 1, 1, 2, 3)};
    fake_case forms[] = {CASE(&tl_op_Upsample_1, first, &x), CASE(&tl_op_Upsample_7, list, &x),
                         PLAIN_CASE(&tl_op_Upsample_9, &x, &scales)};
    for (size_t k = 0; k < COUNT(forms); k++) {
        run_ok(&forms[k]);
        assert_shape(&forms[k].outputs[0], DIMS(1, 2, 4, 9));
        for (int64_t i = 0; i < 72; i++) {
            int64_t at[4];
            coordinates(&forms[k].outputs[0], i, at);
            at[2] /= 2;
            at[3] /= 3;
            ck_assert(same_element(&forms[k].outputs[0], i, &x, index_of(&x, at)));
        }
        fake_free(&forms[k]);
    }
    free_tensor(&x);
    free_tensor(&scales);
}
END_TEST

START_TEST(resize_refuses)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(5));
    static const float bad[] = {0, -1, NAN, INFINITY, 1e30f};
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor scales = float_list(1, &bad[k]);
        fake_case test = PLAIN_CASE(&tl_op_Resize_11, &x, NULL, &scales);
        run_fails(&test, k < 4 ? TL_INVALID_INPUT : TL_NO_MEMORY, NULL);
        free_tensor(&scales);
    }
    tl_tensor scales = float_list(1, (float[]){1.5f}), sizes = int64_list(1, (int64_t[]){-1});
    fake_case none = PLAIN_CASE(&tl_op_Resize_11, &x), both = PLAIN_CASE(&tl_op_Resize_11, &x, NULL, &scales, &sizes);
    run_fails(&none, TL_INVALID_MODEL, "neither");
    run_fails(&both, TL_INVALID_MODEL, "both");
    fake_case negative = PLAIN_CASE(&tl_op_Resize_11, &x, NULL, NULL, &sizes);
    run_fails(&negative, TL_INVALID_INPUT, "sizes[0] is -1");
    tl_tensor text = random_bytes(TL_STRING, DIMS(5));
    fake_attribute linear[] = {ATTR_S("mode", "linear")};
    fake_case strings = CASE(&tl_op_Resize_11, linear, &text, NULL, &scales);
    run_fails(&strings, TL_UNSUPPORTED, "nearest");
    free_tensor(&x);
    free_tensor(&scales);
    free_tensor(&sizes);
    free_tensor(&text);
}
END_TEST

/* ---- Einsum */

/* Sums the product of all operands over every assignment of numbers to letters. No ellipsis. */
static void naive_einsum(const char *equation, const tl_tensor *const *inputs, const tl_tensor *out, double *want)
{
    const char *terms[4] = {equation}, *arrow = strstr(equation, "->") + 2;
    int64_t sizes[128] = {0}, at[128] = {0}, total = 1;
    char letters[16];
    int count = 0, letter_count = 0;
    for (const char *c = equation; c != arrow - 2; c++)
        if (*c == ',')
            terms[++count] = c + 1;
    count++;
    for (int k = 0; k < count; k++)
        for (int i = 0; terms[k][i] != ',' && terms[k][i] != '-'; i++) {
            unsigned char c = (unsigned char)terms[k][i];
            if (sizes[c] == 0)
                letters[letter_count++] = (char)c;
            sizes[c] = inputs[k]->dims[i];
        }
    for (int i = 0; i < letter_count; i++)
        total *= sizes[(int)letters[i]];
    for (int64_t t = 0; t < total; t++) {
        int64_t rest = t, place[8];
        double factor = 1;
        for (int i = 0; i < letter_count; i++) {
            at[(int)letters[i]] = rest % sizes[(int)letters[i]];
            rest /= sizes[(int)letters[i]];
        }
        for (int k = 0; k < count; k++) {
            for (int32_t i = 0; i < inputs[k]->rank; i++)
                place[i] = at[(unsigned char)terms[k][i]];
            factor *= get(inputs[k], index_of(inputs[k], place));
        }
        for (int32_t i = 0; i < out->rank; i++)
            place[i] = at[(unsigned char)arrow[i]];
        want[index_of(out, place)] += factor;
    }
}

START_TEST(einsum_any)
{
    static const char *const equations[] = {
        "ij,jk->ik",   "bij,bjk->bik", "bij,bkj->bik", "i,i->",          "ij->ji",          "ii->i",
        "ii->",        "ijk->j",       "ij,kl->ijkl",  "abc,cd,de->abe", "bhid,bhjd->bhij", "ij,i->j",
        "aij,ajk->ki", "ijij->ij",     "ab,bc,ca->",   "i,j,k->kji",     "abc,b->c"};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT32, TL_INT64, TL_UINT8};
    random_seed(32);
    for (size_t e = 0; e < COUNT(equations); e++)
        for (size_t t = 0; t < COUNT(types); t++) {
            tl_tensor inputs[3];
            const tl_tensor *pointers[3];
            size_t count = 0;
            for (const char *c = equations[e]; *c != '-'; c += *c == ',') {
                int64_t dims[8];
                int32_t rank = 0;
                for (; *c != ',' && *c != '-'; c++)
                    dims[rank++] = strchr(equations[e], *c) - equations[e] > 4 ? 2 : 3 + (*c & 1);
                inputs[count] = random_tensor(types[t], rank, dims);
                for (int64_t i = 0; i < elements(&inputs[count]); i++)
                    set(&inputs[count], i, (double)random_int(0, 1)); /* exact in all types */
                pointers[count] = &inputs[count];
                count++;
            }
            fake_attribute attributes[] = {ATTR_S("equation", equations[e])};
            fake_case test = new_case(&tl_op_Einsum_12, attributes, 1, pointers, count);
            run_ok(&test);
            double *want = calloc((size_t)elements(&test.outputs[0]) + 1, sizeof *want);
            naive_einsum(equations[e], pointers, &test.outputs[0], want);
            for (int64_t i = 0; i < elements(&test.outputs[0]); i++)
                ck_assert_msg(get(&test.outputs[0], i) == want[i], "%s, type %d, element %lld: %g, not %g",
                              equations[e], (int)types[t], (long long)i, get(&test.outputs[0], i), want[i]);
            free(want);
            fake_free(&test);
            for (size_t k = 0; k < count; k++)
                free_tensor(&inputs[k]);
        }
}
END_TEST

/* Large enough for the packed kernel: many columns, few columns, one item and several. */
START_TEST(einsum_large)
{
    static const struct {
        const char *equation;
        int32_t ranks[2];
        int64_t dims[2][3];
    } cases[] = {
        {"ij,jk->ik", {2, 2}, {{37, 41}, {41, 53}}},
        {"ij,jk->ik", {2, 2}, {{67, 130}, {130, 3}}},
        {"bij,bkj->bik", {3, 3}, {{5, 19, 33}, {5, 21, 33}}},
        {"bij,bjk->kb", {3, 3}, {{2, 70, 9}, {2, 9, 17}}},
        {"bct,bct->bc", {3, 3}, {{2, 3, 1100}, {2, 3, 1100}}},
        {"bij,b->i", {3, 1}, {{5, 7, 333}, {5}}},
        /* a matrix by a vector: rows that share a block, one of a block's size, and of several; either one first */
        {"bij,bj->bi", {3, 2}, {{3, 70, 16}, {3, 16}}},
        {"bj,bij->bi", {2, 3}, {{3, 33}, {3, 61, 33}}},
        {"j,ij->i", {1, 2}, {{512}, {9, 512}}},
        {"bij,ib->i", {3, 2}, {{3, 5, 1025}, {5, 3}}},
        {"ij,j->i", {2, 1}, {{5, 1025}, {1025}}},
        {"jb,bij->ib", {2, 3}, {{257, 3}, {3, 7, 257}}},
        {"bij,bi->bj", {3, 2}, {{2, 31, 70}, {2, 31}}},
        {"bi,bij->bj", {2, 3}, {{2, 31}, {2, 31, 70}}},
        {"bij,bj->bi", {3, 2}, {{1, 4100, 1}, {1, 1}}},
        {"bij,bj->bi", {3, 2}, {{4100, 1, 2}, {4100, 2}}},
        {"bij,bj->bi", {3, 2}, {{2, 0, 16}, {2, 16}}},
        {"bj,bij->bi", {2, 3}, {{2, 0}, {2, 3, 0}}}};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16};
    random_seed(34);
    for (size_t c = 0; c < COUNT(cases); c++)
        for (size_t t = 0; t < COUNT(types); t++)
            for (int32_t threads = 1; threads < 5; threads += 3) {
                tl_tensor a = random_tensor(types[t], cases[c].ranks[0], cases[c].dims[0]);
                tl_tensor b = random_tensor(types[t], cases[c].ranks[1], cases[c].dims[1]);
                const tl_tensor *inputs[] = {&a, &b};
                fake_attribute attributes[] = {ATTR_S("equation", cases[c].equation)};
                fake_case test = CASE(&tl_op_Einsum_12, attributes, &a, &b);
                test.threads = threads;
                run_ok(&test);
                double *want = calloc((size_t)elements(&test.outputs[0]), sizeof *want);
                naive_einsum(cases[c].equation, inputs, &test.outputs[0], want);
                assert_near(&test.outputs[0], want, 8, cases[c].equation);
                free(want);
                fake_free(&test);
                free_tensor(&a);
                free_tensor(&b);
            }
}
END_TEST

/* A sample has the same bits alone as in a batch, wherever the batch is: among the rows, the columns, or the products.
 */
START_TEST(einsum_batch)
{
    enum { BATCH = 9 };
    static const struct {
        const char *equation;
        int32_t ranks[2];
        int64_t dims[2][3];
    } cases[] = {{"bij,jk->bik", {3, 2}, {{BATCH, 5, 17}, {17, 13}}},
                 {"jk,bij->bik", {2, 3}, {{17, 13}, {BATCH, 5, 17}}},
                 {"bj,jk->bk", {2, 2}, {{BATCH, 70}, {70, 31}}},
                 {"jk,bj->bk", {2, 2}, {{70, 31}, {BATCH, 70}}},
                 {"bij,bkj->bik", {3, 3}, {{BATCH, 3, 19}, {BATCH, 2, 19}}},
                 {"bij,j->bi", {3, 1}, {{BATCH, 41, 33}, {33}}},
                 {"bj,j->b", {2, 1}, {{BATCH, 1100}, {1100}}},
                 {"j,bj->b", {1, 2}, {{1100}, {BATCH, 1100}}},
                 {"bi,ik->bik", {2, 2}, {{BATCH, 7}, {7, 100}}}};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16};
    random_seed(35);
    for (size_t c = 0; c < COUNT(cases); c++)
        for (size_t t = 0; t < COUNT(types); t++) {
            const size_t size = types[t] == TL_DOUBLE ? 8 : types[t] == TL_FLOAT ? 4 : 2;
            tl_tensor all[2], one[2];
            fake_attribute attributes[] = {ATTR_S("equation", cases[c].equation)};
            for (int k = 0; k < 2; k++) {
                one[k] = all[k] = random_tensor(types[t], cases[c].ranks[k], cases[c].dims[k]);
                for (int64_t i = 0; i < elements(&all[k]); i++)
                    set(&all[k], i, sin(get(&all[k], i))); /* whose products are not exact */
            }
            fake_case batch = CASE(&tl_op_Einsum_12, attributes, &all[0], &all[1]);
            run_ok(&batch);
            const size_t bytes = (size_t)(elements(&batch.outputs[0]) / BATCH) * size;
            for (size_t b = 0; b < BATCH; b++) {
                for (int k = 0; k < 2; k++)
                    if (all[k].dims[0] == BATCH) {
                        one[k].dims[0] = 1;
                        one[k].data = (char *)all[k].data + b * (size_t)elements(&one[k]) * size;
                    }
                fake_case sample = CASE(&tl_op_Einsum_12, attributes, &one[0], &one[1]);
                run_ok(&sample);
                ck_assert_msg(memcmp(sample.outputs[0].data, (char *)batch.outputs[0].data + b * bytes, bytes) == 0,
                              "%s, type %d: sample %zu differs", cases[c].equation, (int)types[t], b);
                fake_free(&sample);
            }
            fake_free(&batch);
            for (int k = 0; k < 2; k++)
                free_tensor(&all[k]);
        }
}
END_TEST

START_TEST(einsum_ellipsis_and_implicit)
{
    tl_tensor a = random_tensor(TL_FLOAT, DIMS(4, 1, 2, 3)), b = random_tensor(TL_FLOAT, DIMS(5, 3, 2));
    fake_attribute attributes[] = {ATTR_S("equation", " ...i j , ...jk -> ...ik")};
    fake_case test = CASE(&tl_op_Einsum_12, attributes, &a, &b);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(4, 5, 2, 2));
    for (int64_t i = 0; i < elements(&test.outputs[0]); i++) {
        int64_t at[4];
        double want = 0;
        coordinates(&test.outputs[0], i, at);
        for (int64_t j = 0; j < 3; j++)
            want += get(&a, (at[0] * 2 + at[2]) * 3 + j) * get(&b, (at[1] * 3 + j) * 2 + at[3]);
        ck_assert_double_eq_tol(get(&test.outputs[0], i), want, 1e-5);
    }
    fake_free(&test);
    fake_attribute implicit[] = {ATTR_S("equation", "ba,a")};
    tl_tensor m = random_tensor(TL_FLOAT, DIMS(2, 3)), v = random_tensor(TL_FLOAT, DIMS(3));
    fake_case product = CASE(&tl_op_Einsum_12, implicit, &m, &v);
    run_ok(&product);
    assert_shape(&product.outputs[0], DIMS(2));
    fake_free(&product);
    static const char *const bad[] = {"",         "ba",     "ba,a,a",     "bac,a",    "ba,a->bb", "ba,a->c",
                                      "ba,a->b)", "b..a,a", "...b...a,a", "ba,a->->", "ba;a",     "b.,a"};
    for (size_t k = 0; k < COUNT(bad); k++) {
        fake_attribute equation[] = {ATTR_S("equation", bad[k])};
        fake_case wrong = CASE(&tl_op_Einsum_12, equation, &m, &v);
        ck_assert_msg(fake_run(&wrong) != TL_OK, "'%s' was taken", bad[k]);
    }
    fake_attribute sizes[] = {ATTR_S("equation", "ab,b->a")};
    fake_case wrong = CASE(&tl_op_Einsum_12, sizes, &b, &v);
    ck_assert(fake_run(&wrong) == TL_INVALID_INPUT);
    free_tensor(&a);
    free_tensor(&b);
    free_tensor(&m);
    free_tensor(&v);
}
END_TEST

START_TEST(det_of_products)
{
    /* det(L U) is the product of the diagonals; the rows are then swapped, which turns the sign. */
    random_seed(33);
    for (int round = 0; round < 20; round++) {
        int64_t n = random_int(1, 5);
        double lower[25] = {0}, upper[25] = {0}, want = round % 2 && n > 1 ? -1 : 1;
        tl_tensor x = new_tensor(TL_DOUBLE, DIMS(1, n, n));
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < n; c++) {
                lower[r * n + c] = c < r ? random_real() : c == r;
                upper[r * n + c] = c < r ? 0 : c == r ? 1 + fabs(random_real()) : random_real();
            }
        for (int64_t r = 0; r < n; r++) {
            want *= upper[r * n + r];
            for (int64_t c = 0; c < n; c++) {
                double sum = 0;
                for (int64_t k = 0; k < n; k++)
                    sum += lower[r * n + k] * upper[k * n + c];
                int64_t to = round % 2 && n > 1 && r < 2 ? 1 - r : r;
                set(&x, to * n + c, sum);
            }
        }
        fake_case test = PLAIN_CASE(&tl_op_Det_11, &x);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(1));
        ck_assert_double_eq_tol(get(&test.outputs[0], 0), want, 1e-9);
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resample");
    ADD_TEST(suite, resize_any);
    ADD_TEST(suite, resize_integers_round_and_hold);
    ADD_TEST(suite, resize_crop_and_sizes);
    ADD_TEST(suite, upsample_all_forms);
    ADD_TEST(suite, resize_refuses);
    ADD_TEST(suite, einsum_any);
    ADD_TEST(suite, einsum_large);
    ADD_TEST(suite, einsum_batch);
    ADD_TEST(suite, einsum_ellipsis_and_implicit);
    ADD_TEST(suite, det_of_products);
    return run_suite(suite);
}
