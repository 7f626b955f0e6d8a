/* NonMaxSuppression: of boxes that overlap, the ones with the highest scores. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("boxes", TL_T(TL_FLOAT), 0), OP_IN("scores", TL_T(TL_FLOAT), 0),
                               OP_OPT("max_output_boxes_per_class", OP_T_INT64, 0),
                               OP_OPT("iou_threshold", TL_T(TL_FLOAT), 0),
                               OP_OPT("score_threshold", TL_T(TL_FLOAT), 0)};
static const tl_param outs[] = {OP_IN("selected_indices", OP_T_INT64, 0)};
static const tl_attribute_spec attrs[] = {OP_INT("center_point_box", 0)};

static tl_status nms_reshape(tl_call *call)
{
    const tl_tensor *boxes = call->inputs[0], *scores = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    out->rank = 2;
    out->dims[0] = TL_DIM_UNKNOWN;
    out->dims[1] = 3;
    for (size_t k = 2; k < 5; k++) {
        const tl_tensor *in = op_input(call, k);
        if (in && op_shape_known(in) && op_elements(in) != 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must be a scalar", k,
                           (long long)op_elements(in));
    }
    if (!op_shape_known(boxes) || !op_shape_known(scores))
        return TL_OK;
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2])
        return tl_fail(call, TL_INVALID_INPUT,
                       "boxes must be [batches, boxes, 4] and scores [batches, classes, boxes]");
    /* Two arrays to sort in, and all that can be selected. */
    size_t rows, all;
    if (__builtin_mul_overflow((size_t)scores->dims[0], (size_t)scores->dims[1], &rows) ||
        __builtin_add_overflow(rows, 2, &rows) || __builtin_mul_overflow(rows, (size_t)boxes->dims[1], &all) ||
        __builtin_mul_overflow(all, 3 * sizeof(int64_t), &call->workspace_size))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return TL_OK;
}

typedef struct nms_box {
    float y1, x1, y2, x2;
} nms_box;

/* Corners in order, whichever diagonal was given. */
static nms_box load_box(const float *from, bool center)
{
    if (center)
        return (nms_box){from[1] - from[3] / 2, from[0] - from[2] / 2, from[1] + from[3] / 2, from[0] + from[2] / 2};
    return (nms_box){fminf(from[0], from[2]), fminf(from[1], from[3]), fmaxf(from[0], from[2]),
                     fmaxf(from[1], from[3])};
}

static bool overlap(const float *first, const float *second, bool center, float threshold)
{
    nms_box a = load_box(first, center), b = load_box(second, center);
    float height = fminf(a.y2, b.y2) - fmaxf(a.y1, b.y1), width = fminf(a.x2, b.x2) - fmaxf(a.x1, b.x1);
    float area_a = (a.y2 - a.y1) * (a.x2 - a.x1), area_b = (b.y2 - b.y1) * (b.x2 - b.x1);
    if (!(height > 0) || !(width > 0) || !(area_a > 0) || !(area_b > 0))
        return false;
    float common = height * width;
    return common / (area_a + area_b - common) > threshold;
}

/* Sorts indices by falling scores, equal ones by index; returns which of the two arrays holds the result. */
static int64_t *sort_scores(const float *scores, int64_t *from, int64_t *to, int64_t n)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = begin + width < n ? begin + width : n;
            int64_t end = middle + width < n ? middle + width : n;
            int64_t a = begin, b = middle;
            for (int64_t i = begin; i < end; i++)
                to[i] = from[a < middle && (b >= end || scores[from[a]] >= scores[from[b]]) ? a++ : b++];
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

typedef struct nms_job {
    int64_t most;
    float iou, score;
    bool center, by_score;
    int64_t *sort_a, *sort_b;
} nms_job;

/* Selects boxes of one batch item and class into `selected`; returns how many. */
static int64_t select_boxes(const nms_job *job, const float *boxes, const float *scores, int64_t n, int64_t *selected)
{
    int64_t candidates = 0, count = 0;
    for (int64_t i = 0; i < n; i++)
        if (scores[i] == scores[i] && (!job->by_score || scores[i] > job->score))
            job->sort_a[candidates++] = i;
    const int64_t *order = sort_scores(scores, job->sort_a, job->sort_b, candidates);
    for (int64_t i = 0; i < candidates && count < job->most; i++) {
        bool keep = true;
        for (int64_t k = 0; keep && k < count; k++)
            keep = !overlap(boxes + 4 * order[i], boxes + 4 * selected[k], job->center, job->iou);
        if (keep)
            selected[count++] = order[i];
    }
    return count;
}

static tl_status nms_run(tl_call *call)
{
    const tl_tensor *boxes = call->inputs[0], *scores = call->inputs[1];
    const tl_tensor *most = op_input(call, 2), *iou = op_input(call, 3), *score = op_input(call, 4);
    int64_t n = boxes->dims[1], batches = scores->dims[0], classes = scores->dims[1], total = 0;
    nms_job job = {.most = most ? *(const int64_t *)most->data : 0,
                   .iou = iou ? *(const float *)iou->data : 0,
                   .score = score ? *(const float *)score->data : 0,
                   .by_score = score != NULL,
                   .center = op_int(call, "center_point_box") != 0,
                   .sort_a = call->workspace,
                   .sort_b = (int64_t *)call->workspace + n};
    if (!(job.iou >= 0 && job.iou <= 1))
        return tl_fail(call, TL_INVALID_INPUT, "iou_threshold is %g, but must be in [0, 1]", (double)job.iou);
    int64_t *rows = job.sort_b + n;
    if (op_elements(scores) == 0)
        batches = 0;
    /* The boxes are selected into the end of the space for n more triples, and become triples from its beginning. */
    for (int64_t b = 0; b < batches; b++)
        for (int64_t c = 0; c < classes; c++) {
            int64_t *selected = rows + 3 * total + 2 * n;
            int64_t count = select_boxes(&job, (const float *)boxes->data + b * n * 4,
                                         (const float *)scores->data + (b * classes + c) * n, n, selected);
            for (int64_t i = 0; i < count; i++) {
                int64_t box = selected[i];
                rows[3 * (total + i)] = b;
                rows[3 * (total + i) + 1] = c;
                rows[3 * (total + i) + 2] = box;
            }
            total += count;
        }
    int64_t dims[2] = {total, 3};
    void *to = call->host->output(call, 0, 2, dims);
    if (!to)
        return TL_NO_MEMORY;
    if (total > 0)
        memcpy(to, rows, (size_t)total * 3 * sizeof(int64_t));
    return TL_OK;
}

OP_DESCRIPTOR(NonMaxSuppression, 10) = {OP_HEAD(NonMaxSuppression, 10),
                                        OP_PARAMS(input, ins),
                                        OP_PARAMS(output, outs),
                                        OP_PARAMS(attribute, attrs),
                                        .flags = TL_OP_LONG,
                                        .reshape = nms_reshape,
                                        .run = nms_run};
