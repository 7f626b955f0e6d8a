/* roi_align.c's functions for one type: REAL is the element, T(name) a function's name. */

/* How much each element of an axis counts: weights[*begin] and on, up to the end, which is returned. */
static int64_t T(weigh)(const roi_samples *s, REAL *weights, int64_t *begin)
{
    int64_t low = 0, high = 0, end = 0;
    double weight = 0;
    *begin = s->size;
    for (int64_t k = s->first; k < s->end; k++)
        if (find_elements(s, k, &low, &high, &weight)) {
            *begin = nn_min(*begin, low);
            end = nn_max(end, high + 1);
        }
    for (int64_t i = *begin; i < end; i++)
        weights[i] = 0;
    for (int64_t k = s->first; k < s->end; k++)
        if (find_elements(s, k, &low, &high, &weight)) {
            weights[low] += (REAL)(1 - weight);
            weights[high] += (REAL)weight;
        }
    return end;
}

static REAL T(average)(const REAL *x, int64_t width, const REAL *rows, int64_t top, int64_t bottom, const REAL *columns,
                       int64_t left, int64_t right)
{
    REAL sum = 0;
    for (int64_t i = top; i < bottom; i++) {
        REAL row = 0;
        for (int64_t j = left; j < right; j++)
            row += columns[j] * x[i * width + j];
        sum += rows[i] * row;
    }
    return sum;
}

/* The standard's maximum is over the weighted elements, not over the samples that they add up to. */
static REAL T(maximum)(const REAL *x, int64_t width, const roi_samples *rows, const roi_samples *columns)
{
    int64_t inside = 0, top = 0, bottom = 0, left = 0, right = 0;
    double down = 0, across = 0;
    REAL best = 0;
    for (int64_t k = rows->first; k < rows->end; k++)
        for (int64_t l = columns->first; find_elements(rows, k, &top, &bottom, &down) && l < columns->end; l++) {
            if (!find_elements(columns, l, &left, &right, &across))
                continue;
            const REAL parts[] = {(REAL)((1 - down) * (1 - across)) * x[top * width + left],
                                  (REAL)((1 - down) * across) * x[top * width + right],
                                  (REAL)(down * (1 - across)) * x[bottom * width + left],
                                  (REAL)(down * across) * x[bottom * width + right]};
            for (int i = 0; i < 4; i++)
                best = (i == 0 && inside == 0) || parts[i] > best || parts[i] != parts[i] ? parts[i] : best;
            inside++;
        }
    return (double)inside < rows->count * columns->count && best < 0 ? 0 : best;
}

/* A task takes rows of bins. The average over a grid of samples is a sum over rows of elements of sums over columns:
 * weights of both are summed first, for all channels. */
static void T(roi_task)(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const roi_job *job = context;
    const roi_plan *plan = job->plan;
    REAL *row_weights = (REAL *)(void *)(job->weights + (size_t)thread * plan->weights_each);
    REAL *column_weights = row_weights + plan->height;
    const int64_t area = plan->height * plan->width, bins = plan->rows * plan->columns;
    for (int64_t task = begin; task < end; task++) {
        const int64_t roi = task / plan->rows, row = task % plan->rows;
        const roi_box box = find_box(job, roi);
        const roi_samples rows = find_samples(box.top, box.bin_height, row, plan->sampling, plan->height);
        const REAL *x = (const REAL *)job->x + box.image * plan->channels * area;
        REAL *y = (REAL *)job->y + roi * plan->channels * bins + row * plan->columns;
        int64_t top = 0, left = 0;
        const int64_t bottom = plan->maximum ? 0 : T(weigh)(&rows, row_weights, &top);
        for (int64_t column = 0; column < plan->columns; column++) {
            const roi_samples columns = find_samples(box.left, box.bin_width, column, plan->sampling, plan->width);
            const int64_t right = plan->maximum ? 0 : T(weigh)(&columns, column_weights, &left);
            const REAL count = (REAL)fmax(rows.count * columns.count, 1);
            for (int64_t c = 0; c < plan->channels; c++)
                y[c * bins + column] = plan->maximum ? T(maximum)(x + c * area, plan->width, &rows, &columns)
                                                     : T(average)(x + c * area, plan->width, row_weights, top, bottom,
                                                                  column_weights, left, right) /
                                                           count;
        }
    }
}

#undef REAL
#undef T
