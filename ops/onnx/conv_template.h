/* conv.c's functions for one type: REAL is the element, T(name) a function's name, REAL_GEMM the matrix product. */

/* n elements row[at], row[at + stride], ... where these exist, else `pad`. */
static void T(fill_row)(const REAL *row, int64_t size, int64_t at, int64_t stride, int64_t n, REAL *to)
{
    int64_t first, last;
    conv_taps(at, stride, n, size, &first, &last);
    for (int64_t i = 0; i < first; i++)
        to[i] = 0;
    if (stride == 1 && last > first)
        memcpy(to + first, row + at + first, (size_t)(last - first) * sizeof(REAL));
    else
        for (int64_t i = first; i < last; i++)
            to[i] = row[at + i * stride];
    for (int64_t i = last; i < n; i++)
        to[i] = 0;
}

/* What tap `tap` of the window reads for output positions [begin, end) of one channel. */
static void T(fill_tap)(const conv_geometry *g, const REAL *x, const int64_t *tap, int64_t begin, int64_t end, REAL *to)
{
    const int32_t last = g->spatial - 1;
    const int64_t width = g->out_size[last];
    int64_t index[CONV_MAX_SPATIAL], rest = begin;
    for (int32_t i = last; i >= 0; i--) {
        index[i] = rest % g->out_size[i];
        rest /= g->out_size[i];
    }
    for (int64_t at = begin; at < end;) {
        int64_t n = nn_min(width - index[last], end - at), row = 0;
        bool inside = true;
        for (int32_t i = 0; i < last; i++) {
            int64_t position = index[i] * g->strides[i] + tap[i] * g->dilations[i] - g->pads[i];
            inside = inside && position >= 0 && position < g->in_size[i];
            row = inside ? row * g->in_size[i] + position : 0;
        }
        int64_t start = index[last] * g->strides[last] + tap[last] * g->dilations[last] - g->pads[last];
        T(fill_row)(x + row * g->in_size[last], inside ? g->in_size[last] : 0, start, g->strides[last], n, to);
        to += n;
        at += n;
        index[last] = 0;
        conv_step(index, g->out_size, last);
    }
}

/* Output positions [begin, end) of one group of one image, by the matrix product of the filters with what the window
 * reads: `columns` has room for channels * taps rows of end - begin. */
static void T(dense_tile)(const conv_geometry *g, const REAL *x, const REAL *w, const REAL *bias, REAL *y,
                          int64_t begin, int64_t end, bool direct, REAL *columns)
{
    gemm_shape s = {.m = g->filters,
                    .n = end - begin,
                    .k = g->channels * g->taps,
                    .a_row = g->channels * g->taps,
                    .a_step = 1,
                    .b_row = end - begin,
                    .c_row = g->out_area,
                    .add = bias != NULL};
    for (int64_t m = 0; bias && m < g->filters; m++)
        for (int64_t t = begin; t < end; t++)
            y[m * g->out_area + t] = bias[m];
    if (direct) {
        s.b_row = g->in_area;
        REAL_GEMM(&s, w, x + begin, y + begin);
        return;
    }
    REAL *to = columns;
    for (int64_t c = 0; c < g->channels; c++) {
        int64_t tap[CONV_MAX_SPATIAL] = {0};
        for (int64_t k = 0; k < g->taps; k++) {
            T(fill_tap)(g, x + c * g->in_area, tap, begin, end, to);
            to += end - begin;
            conv_step(tap, g->kernel, g->spatial);
        }
    }
    REAL_GEMM(&s, w, columns, y + begin);
}

/* One output row of a filter that reads one channel: the sum over the taps that lie inside. */
static void T(depthwise_row)(const conv_geometry *g, const REAL *x, const REAL *w, const int64_t *index, REAL *y)
{
    const int32_t last = g->spatial - 1;
    int64_t tap[CONV_MAX_SPATIAL] = {0};
    for (int64_t k = 0; k < g->taps; k++, conv_step(tap, g->kernel, g->spatial)) {
        int64_t row = 0, first, end, stride = g->strides[last];
        bool inside = true;
        for (int32_t i = 0; i < last && inside; i++) {
            int64_t position = index[i] * g->strides[i] + tap[i] * g->dilations[i] - g->pads[i];
            inside = position >= 0 && position < g->in_size[i];
            row = row * g->in_size[i] + position;
        }
        if (!inside)
            continue;
        int64_t at = tap[last] * g->dilations[last] - g->pads[last];
        conv_taps(at, stride, g->out_size[last], g->in_size[last], &first, &end);
        const REAL *from = x + row * g->in_size[last];
        REAL factor = w[k];
        if (stride == 1)
            for (int64_t t = first; t < end; t++)
                y[t] += factor * from[at + t];
        else
            for (int64_t t = first; t < end; t++)
                y[t] += factor * from[at + t * stride];
    }
}

static void T(depthwise_task)(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conv_job *job = context;
    const conv_geometry *g = job->g;
    const int64_t filters = g->group * g->filters, width = g->out_size[g->spatial - 1];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t filter = at % filters, channel = at / filters * g->group + filter / g->filters;
        const REAL *x = (const REAL *)job->x + channel * g->in_area;
        REAL *y = (REAL *)job->y + at * g->out_area;
        REAL start = job->bias ? ((const REAL *)job->bias)[filter] : 0;
        int64_t index[CONV_MAX_SPATIAL] = {0};
        for (int64_t t = 0; t < g->out_area; t++)
            y[t] = start;
        for (int64_t row = 0; row < g->out_area; row += width) {
            T(depthwise_row)(g, x, (const REAL *)job->w + filter * g->taps, index, y + row);
            conv_step(index, g->out_size, g->spatial - 1);
        }
    }
}

static void T(dense_task)(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conv_job *job = context;
    const conv_geometry *g = job->g;
    const int64_t tiles = nn_ceil_div(g->out_area, job->tile);
    REAL *columns = (REAL *)job->columns + thread * job->columns_each;
    for (int64_t at = begin; at < end; at++) {
        int64_t image_group = at / tiles, group = image_group % g->group, t = at % tiles * job->tile;
        T(dense_tile)
        (g, (const REAL *)job->x + image_group * g->channels * g->in_area,
         (const REAL *)job->w + group * g->filters * g->channels * g->taps,
         job->bias ? (const REAL *)job->bias + group * g->filters : NULL,
         (REAL *)job->y + image_group * g->filters * g->out_area, t, nn_min(t + job->tile, g->out_area), job->direct,
         columns);
    }
}

#undef REAL
#undef REAL_GEMM
#undef T
