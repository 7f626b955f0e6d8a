/* Convolutions by plain loops, for what ops/kernels has no kernel for: more than two axes. */
#include "onnx/conv.h"
#include "onnx/gemm.h"

void conv_make_plan(tl_call *call, conv_plan *plan, conv_type type)
{
    const conv_geometry *g = &plan->g;
    int64_t rows;
    plan->depthwise = g->channels == 1;
    plan->direct = g->taps == 1;
    for (int32_t i = 0; i < g->spatial; i++)
        plan->direct = plan->direct && g->strides[i] == 1 && g->in_size[i] == g->out_size[i] && g->pads[i] == 0;
    if (!nn_mul(g->channels, g->taps, &rows))
        rows = INT64_MAX;
    plan->tile = nn_max(16, nn_min(256, (int64_t)(1 << 16) / nn_max(rows, 1) / 8 * 8));
    plan->columns_each = 0;
    if (!plan->depthwise && !plan->direct && g->out_area > 0 && g->batch > 0) {
        int64_t total;
        int64_t tile = nn_min(plan->tile, g->out_area);
        if (!nn_mul(rows, tile, &plan->columns_each) || !nn_mul(plan->columns_each, call->thread_count, &total))
            total = INT64_MAX;
        plan->columns = nn_place(call, total, type == CONV_F64 ? sizeof(double) : sizeof(float));
    }
}

typedef struct conv_job {
    const conv_geometry *g;
    const void *x, *w, *bias;
    void *y, *columns;
    int64_t tile, columns_each;
    bool direct;
} conv_job;

#define REAL      float
#define REAL_GEMM gemm_f32
#define T(name)   name##_f32
#include "onnx/conv_template.h"

#define REAL      double
#define REAL_GEMM gemm_f64
#define T(name)   name##_f64
#include "onnx/conv_template.h"

void conv_execute(tl_call *call, const conv_plan *plan, conv_type type, const void *x, const void *w, const void *bias,
                  void *y)
{
    static const tl_task depthwise[] = {depthwise_task_f32, depthwise_task_f64};
    static const tl_task dense[] = {dense_task_f32, dense_task_f64};
    const conv_geometry *g = &plan->g;
    conv_job job = {.g = g,
                    .x = x,
                    .w = w,
                    .bias = bias,
                    .y = y,
                    .columns = nn_at(call, plan->columns),
                    .tile = plan->tile,
                    .columns_each = plan->columns_each,
                    .direct = plan->direct};
    if (g->batch * g->group * g->filters == 0 || g->out_area == 0)
        return;
    if (plan->depthwise)
        call->host->parallel_for(call, depthwise[type], &job, g->batch * g->group * g->filters,
                                 nn_grain(g->out_area * g->taps, 1 << 15));
    else
        call->host->parallel_for(call, dense[type], &job, g->batch * g->group * nn_ceil_div(g->out_area, plan->tile),
                                 1);
}
