#include "onnx/product.h"

static const tlk_gemm_kernel *kernel_of(tl_type type)
{
    return tlk_get()->gemm[nn_kernel_type(type)];
}

/* A B of fewer columns than a vector has lanes is better the kernel's left operand, and A the right one: then the
 * product is the transposed one, with the same bits. */
static bool is_swapped(const product_factor *b, tl_type type)
{
    return b->lines < tlk_get()->vector_bytes / (type == TL_DOUBLE ? 8 : 4);
}

void product_factor_side(product_factor *f, tl_type type, bool left)
{
    const tlk_gemm_kernel *kernel = kernel_of(type);
    const int64_t depth = nn_max(f->depth, 1);
    f->left = left;
    f->each = 0;
    f->pieces = 0;
    if (f->lines < 1)
        return;
    f->pieces = left ? kernel->blocks(f->lines) : kernel->panels(f->lines);
    f->each = left ? kernel->packed_a_size(f->lines, depth) : kernel->packed_b_size(f->lines, depth);
    f->each = f->each > SIZE_MAX / 4 ? SIZE_MAX : (f->each + 63) & ~(size_t)63;
}

product_factor product_factor_a(const tl_tensor *a, bool transposed)
{
    const int32_t rank = a->rank;
    const int64_t rows = rank > 1 ? a->dims[rank - 2] : 1, columns = a->dims[rank - 1];
    product_factor f = {.lines = transposed ? columns : rows,
                        .depth = transposed ? rows : columns,
                        .line_step = transposed ? 1 : columns,
                        .depth_step = transposed ? columns : 1,
                        .matrices = rank > 2 ? op_product(a, 0, rank - 2) : 1};
    return f; /* its side is chosen with B's */
}

product_factor product_factor_b(const tl_tensor *b, bool transposed)
{
    const int32_t rank = b->rank;
    const int64_t rows = rank > 1 ? b->dims[rank - 2] : b->dims[0], columns = rank > 1 ? b->dims[rank - 1] : 1;
    product_factor f = {.lines = transposed ? rows : columns,
                        .depth = transposed ? columns : rows,
                        .line_step = transposed ? columns : 1,
                        .depth_step = transposed ? 1 : columns,
                        .matrices = rank > 2 ? op_product(b, 0, rank - 2) : 1};
    product_factor_side(&f, b->type, is_swapped(&f, b->type));
    return f;
}

void product_pack(const product_factor *f, tl_type type, const void *data, int64_t begin, int64_t end, void *packed)
{
    const tlk_gemm_kernel *kernel = kernel_of(type);
    const int64_t bytes = f->lines * f->depth * (int64_t)nn_type_size(type);
    while (begin < end) {
        const int64_t matrix = begin / f->pieces, first = begin % f->pieces,
                      last = nn_min(f->pieces, first + end - begin);
        const char *from = (const char *)data + matrix * bytes;
        char *to = (char *)packed + (size_t)matrix * f->each;
        if (f->left)
            kernel->pack_a(from, f->line_step, f->depth_step, f->lines, f->depth, first, last, to);
        else
            kernel->pack_b(from, f->depth_step, f->line_step, f->lines, f->depth, first, last, to);
        begin += last - first;
    }
}

void product_set(product_plan *plan, tl_type type, product_factor a, product_factor b)
{
    memset(plan, 0, sizeof *plan);
    plan->type = type;
    plan->b = b;
    plan->a = a;
    product_factor_side(&plan->a, type, !b.left);
    plan->batch = 1;
}

void product_batch(product_plan *plan, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out)
{
    tl_tensor batch_a = *a, batch_b = *b;
    batch_a.rank = a->rank > 2 ? a->rank - 2 : 0;
    batch_b.rank = b->rank > 2 ? b->rank - 2 : 0;
    plan->rank = batch_a.rank > batch_b.rank ? batch_a.rank : batch_b.rank;
    if (plan->b.matrices == 1 && plan->rank == batch_a.rank) {
        plan->a.lines *= plan->a.matrices;
        plan->a.matrices = 1;
        plan->rank = 0;
        product_factor_side(&plan->a, plan->type, plan->a.left);
        return;
    }
    nn_broadcast_strides(&batch_a, plan->rank, plan->a_steps);
    nn_broadcast_strides(&batch_b, plan->rank, plan->b_steps);
    for (int32_t i = 0; i < plan->rank; i++) {
        plan->dims[i] = out->dims[i];
        plan->batch *= out->dims[i];
    }
}

bool product_is_empty(const product_plan *plan)
{
    return plan->batch == 0 || plan->a.lines == 0 || plan->b.lines == 0;
}

void product_place(tl_call *call, product_plan *plan, bool b_packed)
{
    if (product_is_empty(plan))
        return;
    plan->a_packed = nn_place(call, plan->a.matrices, plan->a.each);
    if (!b_packed)
        plan->b_packed = nn_place(call, plan->b.matrices, plan->b.each);
}

typedef struct pack_job {
    const product_factor *factor;
    tl_type type;
    const void *data;
    void *packed;
} pack_job;

static void pack_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const pack_job *job = context;
    (void)thread;
    product_pack(job->factor, job->type, job->data, begin, end, job->packed);
}

/* A product over a depth of 0 is one over a depth of 1 with zeros. */
static void pack_factor(tl_call *call, const product_factor *f, tl_type type, const void *data, void *packed)
{
    pack_job job = {f, type, data, packed};
    if (f->depth == 0)
        memset(packed, 0, (size_t)f->matrices * f->each);
    else
        call->host->parallel_for(call, pack_task, &job, f->matrices * f->pieces,
                                 nn_grain(nn_max(1, f->lines / f->pieces) * f->depth, 1 << 15));
}

typedef struct run_job {
    const product_plan *plan;
    const product_result *result;
    const char *a, *b; /* packed */
    bool by_left;      /* pieces are blocks of the left operand, with all of the right one; or the other way round */
    int64_t pieces;
} run_job;

/* The steps for one matrix of the batch. */
static tlk_steps bind_steps(const run_job *job, int64_t matrix, tlk_step *steps)
{
    const product_result *r = job->result;
    for (int s = 0; s < r->step_count; s++) {
        steps[s] = r->steps[s];
        if (!tlk_step_has_operand(&steps[s]))
            continue;
        steps[s].operand =
            (const char *)r->steps[s].operand + matrix * r->matrix_steps[s] * (int64_t)nn_type_size(job->plan->type);
        steps[s].row_step = job->plan->b.left ? r->steps[s].lane_step : r->steps[s].row_step;
        steps[s].lane_step = job->plan->b.left ? r->steps[s].row_step : r->steps[s].lane_step;
    }
    return (tlk_steps){steps, r->step_count};
}

static void run_pieces(const run_job *job, int64_t matrix, int64_t first, int64_t last)
{
    const product_plan *plan = job->plan;
    const product_result *r = job->result;
    const bool swapped = plan->b.left;
    const int64_t m = plan->a.lines, n = plan->b.lines;
    int64_t a = 0, b = 0, rest = matrix;
    for (int32_t i = plan->rank - 1; i >= 0; i--) {
        int64_t index = rest % plan->dims[i];
        rest /= plan->dims[i];
        a += index * plan->a_steps[i];
        b += index * plan->b_steps[i];
    }
    const char *packed_a = job->a + (size_t)a * plan->a.each, *packed_b = job->b + (size_t)b * plan->b.each;
    tlk_step steps[TLK_MAX_STEPS];
    const tlk_gemm gemm = {.m = swapped ? n : m,
                           .n = swapped ? m : n,
                           .depth = nn_max(plan->b.depth, 1),
                           .c = (char *)r->c + matrix * m * n * (int64_t)nn_type_size(plan->type),
                           .c_row_step = r->transposed ? (swapped ? m : 1) : (swapped ? 1 : n),
                           .c_column_step = r->transposed ? (swapped ? 1 : m) : (swapped ? n : 1),
                           .add = r->add,
                           .add_row_step = swapped ? r->add_column_step : r->add_row_step,
                           .add_column_step = swapped ? r->add_row_step : r->add_column_step,
                           .alpha = r->alpha,
                           .beta = r->beta,
                           .activation = {.kind = TLK_LINEAR},
                           .steps = bind_steps(job, matrix, steps)};
    const int64_t lefts = swapped ? plan->b.pieces : plan->a.pieces, rights = swapped ? plan->a.pieces : plan->b.pieces;
    kernel_of(plan->type)
        ->run(&gemm, swapped ? packed_b : packed_a, swapped ? packed_a : packed_b, job->by_left ? first : 0,
              job->by_left ? last : lefts, job->by_left ? 0 : first, job->by_left ? rights : last);
}

static void run_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const run_job *job = context;
    (void)thread;
    while (begin < end) {
        const int64_t first = begin % job->pieces, last = nn_min(job->pieces, first + end - begin);
        run_pieces(job, begin / job->pieces, first, last);
        begin += last - first;
    }
}

void product_run(tl_call *call, const product_plan *plan, const void *a, const void *b, const void *b_packed,
                 const product_result *result)
{
    if (product_is_empty(plan))
        return;
    pack_factor(call, &plan->a, plan->type, a, nn_at(call, plan->a_packed));
    if (!b_packed)
        pack_factor(call, &plan->b, plan->type, b, nn_at(call, plan->b_packed));
    run_job job = {.plan = plan,
                   .result = result,
                   .a = nn_at(call, plan->a_packed),
                   .b = b_packed ? b_packed : nn_at(call, plan->b_packed)};
    const product_factor *left = plan->b.left ? &plan->b : &plan->a, *right = plan->b.left ? &plan->a : &plan->b;
    job.by_left = left->pieces >= right->pieces;
    job.pieces = job.by_left ? left->pieces : right->pieces;
    const double cost = (double)left->lines * (double)right->lines * (double)plan->b.depth / (double)job.pieces;
    call->host->parallel_for(call, run_task, &job, plan->batch * job.pieces,
                             nn_grain(cost > 1e9 ? (int64_t)1e9 : (int64_t)cost, 1 << 18));
}
