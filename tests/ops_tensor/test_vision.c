/* GridSample, AffineGrid, RoiAlign and MaxRoiPool against one sum per element in double. */
#include <math.h>
#include "tensors.h"

OPERATOR(GridSample, 16);
OPERATOR(GridSample, 20);
OPERATOR(AffineGrid, 20);
OPERATOR(RoiAlign, 10);
OPERATOR(RoiAlign, 16);
OPERATOR(MaxRoiPool, 1);

/* ---- GridSample */

typedef struct sampling {
    const char *mode, *padding;
    bool align;
    const tl_tensor *x;
    int64_t image, channel;
    double at[3];
} sampling;

static double mirrored(double at, double low, double high)
{
    if (high <= low)
        return low;
    while (at < low || at > high)
        at = at < low ? 2 * low - at : 2 * high - at;
    return at;
}

/* The element at index[], or what the padding has there. */
static double pixel(const sampling *s, const int64_t *index)
{
    int64_t place[5] = {s->image, s->channel};
    for (int32_t i = 0; i < s->x->rank - 2; i++) {
        const int64_t size = s->x->dims[i + 2];
        double at = (double)index[i];
        if (strcmp(s->padding, "border") == 0)
            at = fmin(fmax(at, 0), (double)(size - 1));
        else if (strcmp(s->padding, "reflection") == 0)
            at = s->align ? mirrored(at, 0, (double)(size - 1)) : mirrored(at, -0.5, (double)size - 0.5);
        if (at < 0 || at >= (double)size)
            return 0;
        place[i + 2] = (int64_t)at;
    }
    return get(s->x, index_of(s->x, place));
}

static double cubic(double t)
{
    const double a = -0.75;
    t = fabs(t);
    if (t <= 1)
        return (a + 2) * t * t * t - (a + 3) * t * t + 1;
    return t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a : 0;
}

static double interpolate(const sampling *s, int32_t axis, int64_t *index)
{
    if (axis == s->x->rank - 2)
        return pixel(s, index);
    const double at = s->at[axis];
    double sum = 0;
    if (strcmp(s->mode, "nearest") == 0) {
        index[axis] = (int64_t)at;
        return interpolate(s, axis + 1, index);
    }
    for (int64_t i = (int64_t)floor(at) - 2; i <= (int64_t)floor(at) + 3; i++) {
        const double away = fabs((double)i - at);
        const double weight = strstr(s->mode, "cubic") ? cubic((double)i - at) : away < 1 ? 1 - away : 0;
        index[axis] = i;
        sum += weight == 0 ? 0 : weight * interpolate(s, axis + 1, index);
    }
    return sum;
}

static void locate(sampling *s, const tl_tensor *grid, int64_t position)
{
    const int32_t spatial = s->x->rank - 2;
    for (int32_t i = 0; i < spatial; i++) {
        const double size = (double)s->x->dims[i + 2], n = get(grid, position * spatial + spatial - 1 - i);
        const double low = s->align ? 0 : -0.5, high = size - 1 - low;
        double at = s->align ? (n + 1) / 2 * (size - 1) : ((n + 1) * size - 1) / 2;
        if (strcmp(s->mode, "nearest") == 0)
            at = nearbyint(at);
        if (at < low || at > high) {
            if (strcmp(s->padding, "border") == 0 && !strstr(s->mode, "cubic"))
                at = at < low ? 0 : size - 1;
            else if (strcmp(s->padding, "reflection") == 0)
                at = mirrored(at, low, high);
        }
        s->at[i] = at;
    }
}

static void check_grid(const tl_operator *op, tl_type type, tl_type grid_type, const char *mode, const char *padding,
                       bool align, int32_t spatial)
{
    int64_t dims[5] = {2, 3}, grid_dims[5] = {2};
    random_dims(spatial, 1, 6, dims + 2);
    random_dims(spatial, 1, spatial == 1 ? 90 : 9, grid_dims + 1);
    grid_dims[spatial + 1] = spatial;
    tl_tensor x = random_tensor(type, spatial + 2, dims), grid = random_tensor(grid_type, spatial + 2, grid_dims);
    for (int64_t i = 0; i < elements(&grid); i++)
        set(&grid, i, 2 * random_real()); /* exact, so that nearest cannot differ by a bit */
    fake_attribute attributes[] = {ATTR_S("mode", mode), ATTR_S("padding_mode", padding),
                                   ATTR_I("align_corners", align)};
    fake_case test = CASE(op, attributes, &x, &grid);
    run_ok(&test);
    const tl_tensor *y = &test.outputs[0];
    const int64_t area = elements(y) / 6;
    double *want = calloc((size_t)elements(y), sizeof *want);
    for (int64_t i = 0; i < elements(y); i++) {
        sampling s = {mode, padding, align, &x, i / area / 3, i / area % 3, {0}};
        int64_t index[3];
        locate(&s, &grid, s.image * area + i % area);
        want[i] = interpolate(&s, 0, index);
        if (!(TL_T(type) & TL_T_FLOATS)) { /* cut to whole: the last bit decides beside a whole number */
            ck_assert_double_le(fabs(get(y, i) - fmax(want[i], TL_T(type) & TL_T_SIGNED ? -1e9 : 0)), 1);
            want[i] = get(y, i);
        }
    }
    assert_near(y, want, 4, mode);
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&grid);
}

START_TEST(grid_sample_any)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_UINT8, TL_INT32};
    random_seed(51);
    for (int round = 0; round < 540; round++)
        check_grid(&tl_op_GridSample_20, types[round % 6], types[round / 6 % 4], modes[round / 2 % 3],
                   paddings[round / 18 % 3], random_int(0, 1), 1 + round % 3);
    check_grid(&tl_op_GridSample_16, TL_FLOAT, TL_FLOAT, "nearest", "zeros", false, 2);
}
END_TEST

START_TEST(grid_sample_first_version)
{
    static const char *const modes[][2] = {{"bilinear", "linear"}, {"bicubic", "cubic"}};
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 2, 5, 4)), grid = random_tensor(TL_FLOAT, DIMS(1, 3, 7, 2));
    for (int k = 0; k < 2; k++) {
        fake_attribute old[] = {ATTR_S("mode", modes[k][0])}, new[] = {ATTR_S("mode", modes[k][1])};
        fake_case a = CASE(&tl_op_GridSample_16, old, &x, &grid), b = CASE(&tl_op_GridSample_20, new, &x, &grid);
        run_ok(&a);
        run_ok(&b);
        ck_assert_mem_eq(a.outputs[0].data, b.outputs[0].data, 42 * sizeof(float));
        fake_free(&a);
        fake_free(&b);
        fake_case wrong = CASE(&tl_op_GridSample_16, new, &x, &grid);
        run_fails(&wrong, TL_INVALID_MODEL, "mode is");
    }
    free_tensor(&x);
    free_tensor(&grid);
}
END_TEST

/* Types that are only moved, and complex numbers, which are two real ones. */
START_TEST(grid_sample_moves)
{
    tl_tensor text = random_bytes(TL_STRING, DIMS(1, 1, 3)), grid = new_tensor(TL_FLOAT, DIMS(1, 4, 1));
    static const double places[] = {-1, 0, 1, 3};
    for (int64_t i = 0; i < 4; i++)
        set(&grid, i, places[i]);
    fake_attribute nearest[] = {ATTR_S("mode", "nearest"), ATTR_I("align_corners", 1)};
    fake_case move = CASE(&tl_op_GridSample_20, nearest, &text, &grid);
    run_ok(&move);
    for (int64_t i = 0; i < 4; i++)
        ck_assert(same_element(&move.outputs[0], i, &text, i < 3 ? i : -1));
    fake_free(&move);
    fake_case linear = PLAIN_CASE(&tl_op_GridSample_20, &text, &grid);
    run_fails(&linear, TL_UNSUPPORTED, "strings");

    tl_tensor complex = new_tensor(TL_COMPLEX64, DIMS(1, 2, 3)), halves = new_tensor(TL_FLOAT, DIMS(1, 2, 1));
    float *numbers = complex.data;
    for (int i = 0; i < 12; i++)
        numbers[i] = (float)(i * i);
    set(&halves, 0, -0.5);
    set(&halves, 1, 0.5);
    fake_attribute align[] = {ATTR_I("align_corners", 1)};
    fake_case between = CASE(&tl_op_GridSample_20, align, &complex, &halves);
    run_ok(&between);
    for (int i = 0; i < 8; i++) { /* channel, place, part */
        const float *left = numbers + i / 4 * 6 + i / 2 % 2 * 2 + i % 2;
        ck_assert_float_eq(((const float *)between.outputs[0].data)[i], (left[0] + left[2]) / 2);
    }
    fake_free(&between);
    free_tensor(&text);
    free_tensor(&grid);
    free_tensor(&complex);
    free_tensor(&halves);
}
END_TEST

START_TEST(grid_sample_hostile)
{
    static const double far[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38, 1e20, -2.5e9};
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 1, 3, 2)), grid = new_tensor(TL_DOUBLE, DIMS(1, 1, 7, 2));
    for (int64_t i = 0; i < 14; i++)
        set(&grid, i, far[i / 2]);
    for (int k = 0; k < 18; k++) {
        fake_attribute attributes[] = {ATTR_S("mode", modes[k % 3]), ATTR_S("padding_mode", paddings[k / 3 % 3]),
                                       ATTR_I("align_corners", k / 9)};
        fake_case test = CASE(&tl_op_GridSample_20, attributes, &x, &grid);
        run_ok(&test);
        for (int64_t i = 0; i < 7; i++)
            if (k / 3 % 3 == 0)
                ck_assert_double_eq(get(&test.outputs[0], i), 0);
            else
                ck_assert(fabs(get(&test.outputs[0], i)) <= 4);
        fake_free(&test);
    }
    /* An image without elements: all lies outside. */
    tl_tensor empty = new_tensor(TL_FLOAT, DIMS(1, 1, 0, 2));
    fake_case none = PLAIN_CASE(&tl_op_GridSample_20, &empty, &grid);
    run_ok(&none);
    ck_assert_double_eq(get(&none.outputs[0], 3), 0);
    fake_free(&none);
    tl_tensor wrong = new_tensor(TL_FLOAT, DIMS(1, 1, 7, 3)), batch = new_tensor(TL_FLOAT, DIMS(2, 1, 7, 2));
    tl_tensor rank = new_tensor(TL_FLOAT, DIMS(1, 7, 2));
    fake_case a = PLAIN_CASE(&tl_op_GridSample_20, &x, &wrong), b = PLAIN_CASE(&tl_op_GridSample_20, &x, &batch),
              c = PLAIN_CASE(&tl_op_GridSample_20, &x, &rank);
    run_fails(&a, TL_INVALID_INPUT, "coordinate");
    run_fails(&b, TL_INVALID_INPUT, "batch");
    run_fails(&c, TL_INVALID_INPUT, "rank");
    free_tensor(&x);
    free_tensor(&grid);
    free_tensor(&empty);
    free_tensor(&wrong);
    free_tensor(&batch);
    free_tensor(&rank);
}
END_TEST

/* ---- AffineGrid */

START_TEST(affine_grid_any)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(52);
    for (int round = 0; round < 32; round++) {
        const bool align = round & 1;
        const int64_t spatial = 2 + round / 2 % 2;
        int64_t sizes[5] = {2, 9};
        random_dims((int32_t)spatial, 1, 5, sizes + 2);
        tl_tensor theta = random_tensor(types[round / 4 % 4], DIMS(2, spatial, spatial + 1));
        tl_tensor size = int64_list(spatial + 2, sizes);
        fake_attribute attributes[] = {ATTR_I("align_corners", align)};
        fake_case test = CASE(&tl_op_AffineGrid_20, attributes, &theta, &size);
        test.constant = round & 2;
        run_ok(&test);
        const tl_tensor *grid = &test.outputs[0];
        double *want = calloc((size_t)elements(grid), sizeof *want);
        for (int64_t i = 0; i < elements(grid); i++) {
            int64_t at[5];
            coordinates(grid, i, at);
            const int64_t row = (at[0] * spatial + at[spatial + 1]) * (spatial + 1);
            want[i] = get(&theta, row + spatial);
            for (int64_t k = 0; k < spatial; k++) { /* x is the last axis */
                const double n = (double)grid->dims[spatial - k], j = (double)at[spatial - k];
                want[i] += get(&theta, row + k) * (!align ? (2 * j + 1) / n - 1 : n == 1 ? -1 : 2 * j / (n - 1) - 1);
            }
        }
        assert_near(grid, want, 4, "AffineGrid");
        free(want);
        fake_free(&test);
        free_tensor(&theta);
        free_tensor(&size);
    }
}
END_TEST

START_TEST(affine_grid_refuses)
{
    tl_tensor theta = random_tensor(TL_FLOAT, DIMS(1, 2, 3)), line = random_tensor(TL_FLOAT, DIMS(1, 1, 2));
    tl_tensor volume = int64_list(5, (int64_t[]){1, 1, 2, 2, 2}), negative = int64_list(4, (int64_t[]){1, 1, -2, 2});
    tl_tensor huge = int64_list(4, (int64_t[]){1, 1, INT64_MAX, INT64_MAX}),
              other = int64_list(4, (int64_t[]){7, 1, 2, 2});
    const struct {
        const tl_tensor *theta, *size;
        tl_status status;
    } cases[] = {{&theta, &volume, TL_INVALID_INPUT},
                 {&theta, &negative, TL_INVALID_INPUT},
                 {&theta, &huge, TL_NO_MEMORY},
                 {&theta, &other, TL_INVALID_INPUT},
                 {&line, &volume, TL_INVALID_INPUT}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        fake_case test = PLAIN_CASE(&tl_op_AffineGrid_20, cases[k].theta, cases[k].size);
        run_fails(&test, cases[k].status, NULL);
    }
    free_tensor(&theta);
    free_tensor(&line);
    free_tensor(&volume);
    free_tensor(&negative);
    free_tensor(&huge);
    free_tensor(&other);
}
END_TEST

/* ---- RoiAlign */

typedef struct roi {
    bool max, half_pixel;
    int64_t sampling, rows, columns;
    double scale;
} roi;

/* One bin, sample by sample. */
static double align_bin(const roi *r, const tl_tensor *x, int64_t image, int64_t channel, const double *box,
                        int64_t row, int64_t column)
{
    const double height = (double)x->dims[2], width = (double)x->dims[3], offset = r->half_pixel ? 0.5 : 0;
    double start[2], bin[2], best = 0, sum = 0;
    int64_t counts[2], cells[] = {r->rows, r->columns}, seen = 0;
    for (int i = 0; i < 2; i++) { /* y, x */
        start[i] = box[1 - i] * r->scale - offset;
        double length = box[3 - i] * r->scale - offset - start[i];
        length = r->half_pixel ? length : fmax(length, 1);
        bin[i] = length / (double)cells[i];
        counts[i] = r->sampling > 0 ? r->sampling : (int64_t)ceil(bin[i]);
    }
    for (int64_t i = 0; i < counts[0]; i++)
        for (int64_t j = 0; j < counts[1]; j++) {
            double y = start[0] + (double)row * bin[0] + ((double)i + 0.5) * bin[0] / (double)counts[0];
            double z = start[1] + (double)column * bin[1] + ((double)j + 0.5) * bin[1] / (double)counts[1];
            double parts[4] = {0};
            if (!(y < -1 || y > height || z < -1 || z > width)) {
                y = fmin(fmax(y, 0), height - 1);
                z = fmin(fmax(z, 0), width - 1);
                const double fy = y - floor(y), fz = z - floor(z);
                for (int k = 0; k < 4; k++) {
                    int64_t at[] = {image, channel, (int64_t)fmin(floor(y) + k / 2, height - 1),
                                    (int64_t)fmin(floor(z) + k % 2, width - 1)};
                    parts[k] = (k / 2 ? fy : 1 - fy) * (k % 2 ? fz : 1 - fz) * get(x, index_of(x, at));
                }
            }
            for (int k = 0; k < 4; k++) {
                sum += parts[k];
                best = seen++ == 0 ? parts[k] : fmax(best, parts[k]);
            }
        }
    return r->max ? best : sum / fmax((double)(counts[0] * counts[1]), 1);
}

static void check_align(tl_type type, const roi *r, bool old)
{
    tl_tensor x = random_tensor(type, DIMS(2, 3, 6, 5)), rois = new_tensor(type, DIMS(7, 4));
    int64_t images[7];
    for (int64_t i = 0; i < 28; i++)
        set(&rois, i, (double)random_int(-24, 80) / 8); /* outside too, and turned around */
    for (int i = 0; i < 7; i++)
        images[i] = random_int(0, 1);
    tl_tensor batch = int64_list(7, images);
    fake_attribute attributes[] = {
        ATTR_S("mode", r->max ? "max" : "avg"),
        ATTR_I("output_height", r->rows),
        ATTR_I("output_width", r->columns),
        ATTR_I("sampling_ratio", r->sampling),
        ATTR_F("spatial_scale", (float)r->scale),
        ATTR_S("coordinate_transformation_mode", r->half_pixel ? "half_pixel" : "output_half_pixel")};
    fake_case test = CASE(old ? &tl_op_RoiAlign_10 : &tl_op_RoiAlign_16, attributes, &x, &rois, &batch);
    test.attribute_count -= old;
    run_ok(&test);
    const tl_tensor *y = &test.outputs[0];
    double *want = calloc((size_t)elements(y), sizeof *want);
    for (int64_t i = 0; i < elements(y); i++) {
        int64_t at[4];
        double box[4];
        coordinates(y, i, at);
        for (int64_t k = 0; k < 4; k++)
            box[k] = get(&rois, at[0] * 4 + k);
        want[i] = align_bin(r, &x, images[at[0]], at[1], box, at[2], at[3]);
    }
    assert_near(y, want, 2, "RoiAlign");
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&rois);
    free_tensor(&batch);
}

START_TEST(roi_align_any)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(53);
    for (int round = 0; round < 200; round++) {
        const roi r = {round / 4 % 2,    random_int(0, 1), random_int(0, 3),
                       random_int(1, 4), random_int(1, 4), random_int(0, 1) ? 1 : 0.5};
        check_align(types[round % 4], &r, !r.half_pixel && random_int(0, 1));
    }
}
END_TEST

START_TEST(roi_align_hostile)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 1, 4, 4)), rois = new_tensor(TL_FLOAT, DIMS(1, 4));
    tl_tensor image = int64_list(1, (int64_t[]){0}), bad = int64_list(1, (int64_t[]){1});
    tl_tensor before = int64_list(1, (int64_t[]){-1});
    /* Huge regions must not take long: only what lies in the image is looked at. */
    static const double boxes[][4] = {{-1e30, -1e30, 1e30, 1e30},
                                      {-3e38, 0, 3e38, 1},
                                      {1e30, 1e30, -1e30, -1e30},
                                      {0, 0, 1e9, 1e9},
                                      {1e20, 0, 2e20, 1}};
    for (size_t k = 0; k < 2 * COUNT(boxes); k++) {
        for (int64_t i = 0; i < 4; i++)
            set(&rois, i, boxes[k / 2][i]);
        fake_attribute attributes[] = {ATTR_S("mode", k % 2 ? "max" : "avg")};
        fake_case test = CASE(&tl_op_RoiAlign_16, attributes, &x, &rois, &image);
        run_ok(&test);
        ck_assert(fabs(get(&test.outputs[0], 0)) <= 1);
        fake_free(&test);
    }
    set(&rois, 2, NAN);
    fake_case nan = PLAIN_CASE(&tl_op_RoiAlign_16, &x, &rois, &image);
    run_fails(&nan, TL_INVALID_INPUT, "not finite");
    fake_case beyond = PLAIN_CASE(&tl_op_RoiAlign_16, &x, &rois, &bad),
              negative = PLAIN_CASE(&tl_op_RoiAlign_16, &x, &rois, &before);
    run_fails(&beyond, TL_INVALID_INPUT, "batch_indices[0] is 1");
    run_fails(&negative, TL_INVALID_INPUT, "batch_indices[0] is -1");
    static const fake_attribute wrong[] = {ATTR_I("output_height", 0),
                                           ATTR_I("output_width", -1),
                                           ATTR_I("sampling_ratio", -1),
                                           ATTR_I("sampling_ratio", 1 << 30),
                                           ATTR_S("mode", "median"),
                                           ATTR_I("output_height", INT64_MAX),
                                           ATTR_S("coordinate_transformation_mode", "other")};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        fake_case test = new_case(&tl_op_RoiAlign_16, &wrong[k], 1, (const tl_tensor *const[]){&x, &rois, &image}, 3);
        run_fails(&test, wrong[k].i == INT64_MAX ? TL_NO_MEMORY : TL_INVALID_MODEL, NULL);
    }
    free_tensor(&x);
    free_tensor(&rois);
    free_tensor(&image);
    free_tensor(&bad);
    free_tensor(&before);
}
END_TEST

/* ---- MaxRoiPool */

START_TEST(max_roi_pool_any)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(54);
    for (int turn = 0; turn < 80; turn++) {
        tl_tensor x = random_tensor(types[turn % 4], DIMS(2, 3, 7, 6)), rois = new_tensor(types[turn % 4], DIMS(5, 5));
        const int64_t rows = random_int(1, 4), columns = random_int(1, 4);
        for (int64_t i = 0; i < 25; i++)
            set(&rois, i, i % 5 == 0 ? (double)random_int(0, 1) : (double)random_int(-8, 40) / 4);
        fake_attribute attributes[] = {ATTR_IS("pooled_shape", rows, columns), ATTR_F("spatial_scale", 0.5)};
        fake_case test = CASE(&tl_op_MaxRoiPool_1, attributes, &x, &rois);
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        for (int64_t i = 0; i < elements(y); i++) {
            int64_t at[4], begin[2], end[2], cells[] = {rows, columns};
            bool any = false;
            double best = 0;
            coordinates(y, i, at);
            for (int k = 0; k < 2; k++) { /* y, x */
                const double low = round(get(&rois, at[0] * 5 + 2 - k) * 0.5);
                const double length = fmax(round(get(&rois, at[0] * 5 + 4 - k) * 0.5) - low + 1, 1);
                begin[k] = (int64_t)(low + floor((double)at[2 + k] * length / (double)cells[k]));
                end[k] = (int64_t)(low + ceil((double)(at[2 + k] + 1) * length / (double)cells[k]));
            }
            for (int64_t h = begin[0]; h < end[0]; h++)
                for (int64_t w = begin[1]; w < end[1]; w++) {
                    if (h < 0 || h >= 7 || w < 0 || w >= 6)
                        continue;
                    int64_t place[] = {(int64_t)get(&rois, at[0] * 5), at[1], h, w};
                    const double v = get(&x, index_of(&x, place));
                    best = any ? fmax(best, v) : v;
                    any = true;
                }
            ck_assert_msg(get(y, i) == best, "turn %d, element %lld: %g, not %g", turn, (long long)i, get(y, i), best);
        }
        fake_free(&test);
        free_tensor(&x);
        free_tensor(&rois);
    }
}
END_TEST

START_TEST(max_roi_pool_refuses)
{
    static const double bad[] = {-1, 2, NAN, 1e30};
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(2, 1, 4, 4)), rois = new_tensor(TL_FLOAT, DIMS(1, 5));
    fake_attribute attributes[] = {ATTR_IS("pooled_shape", 1, 1)}, zero[] = {ATTR_IS("pooled_shape", 1, 0)},
                   one[] = {ATTR_IS("pooled_shape", 1)};
    for (size_t k = 0; k < COUNT(bad); k++) {
        set(&rois, 0, bad[k]);
        fake_case test = CASE(&tl_op_MaxRoiPool_1, attributes, &x, &rois);
        run_fails(&test, TL_INVALID_INPUT, "region 0");
    }
    set(&rois, 0, 0);
    set(&rois, 1, -1e38);
    set(&rois, 3, 1e38);
    fake_case far = CASE(&tl_op_MaxRoiPool_1, attributes, &x, &rois);
    run_ok(&far);
    fake_free(&far);
    fake_case none = CASE(&tl_op_MaxRoiPool_1, zero, &x, &rois), short_list = CASE(&tl_op_MaxRoiPool_1, one, &x, &rois);
    run_fails(&none, TL_INVALID_MODEL, "pooled_shape");
    run_fails(&short_list, TL_INVALID_MODEL, "pooled_shape");
    free_tensor(&x);
    free_tensor(&rois);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vision");
    ADD_TEST(suite, grid_sample_any);
    ADD_TEST(suite, grid_sample_first_version);
    ADD_TEST(suite, grid_sample_moves);
    ADD_TEST(suite, grid_sample_hostile);
    ADD_TEST(suite, affine_grid_any);
    ADD_TEST(suite, affine_grid_refuses);
    ADD_TEST(suite, roi_align_any);
    ADD_TEST(suite, roi_align_hostile);
    ADD_TEST(suite, max_roi_pool_any);
    ADD_TEST(suite, max_roi_pool_refuses);
    return run_suite(suite);
}
