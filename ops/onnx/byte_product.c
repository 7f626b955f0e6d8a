#include "onnx/byte_product.h"

static const tlk_bytes_kernel *kernel(void)
{
    return tlk_get_bytes(tlk_get());
}

static size_t round_up(size_t size)
{
    return size > SIZE_MAX / 4 ? SIZE_MAX : (size + 63) & ~(size_t)63;
}

void byte_quantize(const float *from, uint8_t *to, int64_t n, float *scale, int32_t *zero)
{
    float low, high;
    tlk_get()->extremes(from, n, &low, &high);
    *scale = low == high ? 1 : (high - low) / 255;
    const float point = rintf(fminf(fmaxf(0 - low / *scale, 0), 255));
    *zero = point == point ? (int32_t)point : 0;
    tlk_get()->quantize(from, to, 1, n, *scale, *zero, 0, 255);
}

/* Whether the kernel reads the step's operand as it lies: one number for each row, or, where lanes are not left out,
 * for each lane. */
static bool is_taken(const tlk_bytes *product, tlk_steps steps, tlk_step_kind kind)
{
    return steps.count > 0 && steps.steps->kind == kind &&
           (steps.steps->lane_step == 0 || product->pitch == product->width);
}

void byte_set_steps(tlk_bytes *product, tlk_steps steps)
{
    static const float one = 1;
    product->scale = &one;
    product->scale_row_step = product->scale_lane_step = 0;
    if (is_taken(product, steps, TLK_STEP_MUL) && (steps.steps->row_step == 0 || steps.steps->lane_step == 0)) {
        product->scale = steps.steps->operand;
        product->scale_row_step = steps.steps->row_step;
        product->scale_lane_step = steps.steps->lane_step;
        steps = (tlk_steps){steps.steps + 1, steps.count - 1};
    }
    if (is_taken(product, steps, TLK_STEP_ADD) && !(product->narrow && steps.steps->lane_step != 0)) {
        product->add = steps.steps->operand;
        product->add_row_step = steps.steps->row_step;
        product->add_lane_step = steps.steps->lane_step;
        steps = (tlk_steps){steps.steps + 1, steps.count - 1};
    }
    product->steps = steps;
}

/* ---- The right factor */

static int64_t quads_of(int64_t depth)
{
    return nn_ceil_div(depth, TLK_QUAD);
}

static int64_t panels_of(int64_t n)
{
    return nn_ceil_div(n, kernel()->panel);
}

byte_right byte_right_of(const tl_tensor *b)
{
    byte_right r = {.n = b->rank > 1 ? b->dims[b->rank - 1] : 1,
                    .depth = b->dims[b->rank > 1 ? b->rank - 2 : 0],
                    .matrices = b->rank > 2 ? op_product(b, 0, b->rank - 2) : 1,
                    .is_signed = b->type == TL_INT8};
    int64_t bytes, all, sums;
    r.each = r.size = SIZE_MAX;
    if (!nn_mul(panels_of(r.n) * kernel()->panel, quads_of(r.depth) * TLK_QUAD, &bytes) || bytes > INT64_MAX / 2 ||
        !nn_mul(bytes, r.matrices, &all) || !nn_mul(r.n * (int64_t)sizeof(int32_t), r.matrices, &sums) ||
        !nn_add(all, sums, &all))
        return r;
    r.each = (size_t)bytes;
    r.size = round_up((size_t)all);
    return r;
}

static int32_t *column_sums(const byte_right *r, const void *packed)
{
    return (int32_t *)((char *)packed + (size_t)r->matrices * r->each);
}

typedef struct pack_right {
    const byte_right *right;
    const char *data;
    char *packed;
} pack_right;

static void pack_right_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const pack_right *job = context;
    const byte_right *r = job->right;
    const int64_t panels = panels_of(r->n);
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t matrix = at / panels, panel = at % panels;
        kernel()->pack_panels(job->data + matrix * r->n * r->depth, r->is_signed, r->n, r->depth, panel, panel + 1,
                              (uint32_t *)(job->packed + (size_t)matrix * r->each),
                              column_sums(r, job->packed) + matrix * r->n);
    }
}

void byte_pack_matrix(const byte_right *right, int64_t matrix, const void *data, void *packed)
{
    kernel()->pack_panels(data, right->is_signed, right->n, right->depth, 0, panels_of(right->n),
                          (uint32_t *)((char *)packed + (size_t)matrix * right->each),
                          column_sums(right, packed) + matrix * right->n);
}

tl_status byte_create(tl_call *call, size_t k)
{
    const tl_tensor *b = call->inputs[k];
    void *packed = NULL;
    if (!b->data || b->rank < 1 || op_elements(b) == 0)
        return TL_OK;
    const byte_right r = byte_right_of(b);
    if (r.size != SIZE_MAX)
        packed = call->host->alloc(call->host, r.size, 64);
    if (!packed)
        return tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
    for (int64_t i = 0; i < r.matrices; i++)
        byte_pack_matrix(&r, i, (const char *)b->data + i * r.n * r.depth, packed);
    call->state = packed;
    call->packed = (uint64_t)1 << k;
    return TL_OK;
}

/* ---- Plan */

void byte_plan_product(tl_call *call, byte_plan *plan, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out,
                       bool packed)
{
    memset(plan, 0, sizeof *plan);
    if (op_elements(out) == 0) /* then all others have numbers of rows and columns that fit */
        return;
    plan->right = byte_right_of(b);
    plan->a_signed = a->type == TL_INT8;
    plan->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    plan->a_matrices = a->rank > 2 ? op_product(a, 0, a->rank - 2) : 1;
    plan->rows = plan->m * plan->a_matrices;
    if (!matrix_batch_set(&plan->batch, a, b, out)) {
        plan->m = plan->rows;
        plan->a_matrices = 1;
    }
    const int64_t columns = plan->right.n * plan->right.matrices;
    plan->a_each = round_up(kernel()->packed_size(plan->m, 1, plan->right.depth));
    plan->a = nn_place(call, plan->a_matrices, plan->a_each);
    plan->a_sums = nn_place(call, plan->rows, sizeof(int32_t));
    plan->row_factors = nn_place(call, plan->rows, sizeof(int32_t));
    plan->starts = nn_place(call, plan->rows, sizeof(int32_t));
    plan->lanes = nn_place(call, columns, sizeof(int32_t));
    plan->b_zeros = nn_place(call, columns, sizeof(int32_t));
    if (!packed)
        plan->b = nn_place(call, 1, plan->right.size);
}

/* ---- Run */

typedef struct product_job {
    const tl_call *call;
    const byte_plan *plan;
    const byte_result *result;
    const char *a_data;
    char *a;       /* packed */
    const char *b; /* packed */
    int32_t *a_sums, *row_factors, *starts, *lanes, *b_zeros;
    bool by_row; /* pieces are blocks of rows, with all columns; or panels, with all rows */
    int64_t pieces;
} product_job;

static void pack_left_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const product_job *job = context;
    const byte_plan *plan = job->plan;
    const int64_t blocks = nn_ceil_div(plan->m, kernel()->block), depth = plan->right.depth;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t matrix = at / blocks, block = at % blocks;
        const tlk_bytes_left left = {.data = job->a_data + matrix * plan->m * depth,
                                     .is_signed = plan->a_signed,
                                     .rows = plan->m,
                                     .taps = 1,
                                     .depth = depth,
                                     .row_step = depth,
                                     .step = 1};
        kernel()->pack(&left, block, block + 1, job->a + (size_t)matrix * plan->a_each, job->a_sums + matrix * plan->m);
    }
}

/* What zero points add, for operands as packed (kernels/bytes.h). A zero point of B for all columns needs no term: it
 * goes into what the rows' sums begin with. Integers wrap. */
static void prepare_terms(const product_job *job)
{
    const byte_plan *plan = job->plan;
    const byte_result *r = job->result;
    const byte_right *right = &plan->right;
    const int32_t a_shift = plan->a_signed ? 0 : 128, b_shift = right->is_signed ? 128 : 0;
    const int32_t *sums = column_sums(right, job->b);
    const uint32_t one = (uint32_t)(r->b_zeros[0] + b_shift), depth = (uint32_t)right->depth;
    for (int64_t i = 0; i < plan->rows; i++) {
        job->row_factors[i] = a_shift - r->a_zeros[i * r->a_zero_step];
        job->starts[i] = r->b_zero_step ? 0 : (int32_t)(0 - one * (uint32_t)job->a_sums[i]);
    }
    const int64_t columns = right->n * right->matrices;
    for (int64_t j = 0; j < columns && !r->b_zero_step; j++)
        job->lanes[j] = (int32_t)((uint32_t)sums[j] - depth * one);
    for (int64_t j = 0; j < columns && r->b_zero_step; j++) {
        const int32_t zero = r->b_zeros[j] + b_shift;
        job->lanes[j] = (int32_t)((uint32_t)sums[j] - depth * (uint32_t)zero);
        job->b_zeros[j] = -zero;
    }
}

static void run_pieces(const product_job *job, int64_t matrix, int64_t first, int64_t last)
{
    static const int64_t no_offset = 0;
    const byte_plan *plan = job->plan;
    const byte_result *r = job->result;
    const int64_t n = plan->right.n, panel = kernel()->panel;
    int64_t a, b;
    matrix_batch_at(&plan->batch, matrix, &a, &b);
    const int64_t row = a * plan->m, column = b * n;
    const size_t size = r->form == TLK_BYTES_BYTES ? 1 : sizeof(int32_t);
    tlk_bytes product = {.rows = plan->m,
                         .lanes = n,
                         .depth = quads_of(plan->right.depth),
                         .taps = 1,
                         .b = (const uint32_t *)(const void *)(job->b + (size_t)b * plan->right.each),
                         .offsets = &no_offset,
                         .b_step = panel,
                         .b_lane_step = quads_of(plan->right.depth),
                         .start = job->starts + row,
                         .terms = {{job->row_factors + row, job->lanes + column}},
                         .form = r->form,
                         .c = (char *)r->c + (size_t)(matrix * plan->m * n) * size,
                         .c_row_step = n,
                         .pitch = n,
                         .width = n,
                         .scale = r->scale,
                         .scale_lane_step = r->scale_step,
                         .add = r->add,
                         .add_row_step = r->add_row_step,
                         .add_lane_step = 1,
                         .zero = r->zero,
                         .low = r->low,
                         .high = r->high};
    product.terms[2].lane = r->bias;
    if (r->b_zero_step) {
        product.terms[1].row = job->a_sums + row;
        product.terms[1].lane = job->b_zeros + column;
    }
    tlk_step steps[TLK_MAX_STEPS];
    if (r->steps)
        byte_set_steps(&product,
                       steps_bind(job->call, r->steps, r->first_operand, r->places, 0, matrix * plan->m, false, steps));
    kernel()->run(&product, job->a + (size_t)a * plan->a_each, job->by_row ? first : 0,
                  job->by_row ? last : nn_ceil_div(plan->m, kernel()->block), job->by_row ? 0 : first * panel,
                  job->by_row ? n : nn_min(last * panel, n));
}

static void run_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const product_job *job = context;
    (void)thread;
    while (begin < end) {
        const nn_run run = nn_take_run(&begin, end, job->pieces);
        run_pieces(job, run.sample, run.first, run.last);
    }
}

void byte_product_run(tl_call *call, const byte_plan *plan, const void *a, const void *b, const void *packed,
                      const byte_result *result)
{
    if (plan->batch.count == 0)
        return;
    const byte_right *right = &plan->right;
    const int64_t blocks = nn_ceil_div(plan->m, kernel()->block), panels = panels_of(right->n);
    pack_right pack = {right, b, nn_at(call, plan->b)};
    product_job job = {.call = call,
                       .plan = plan,
                       .result = result,
                       .a_data = a,
                       .a = nn_at(call, plan->a),
                       .b = packed ? packed : pack.packed,
                       .a_sums = nn_at(call, plan->a_sums),
                       .row_factors = nn_at(call, plan->row_factors),
                       .starts = nn_at(call, plan->starts),
                       .lanes = nn_at(call, plan->lanes),
                       .b_zeros = nn_at(call, plan->b_zeros),
                       .by_row = blocks >= panels,
                       .pieces = nn_max(blocks, panels)};
    call->host->parallel_for(call, pack_left_task, &job, plan->a_matrices * blocks,
                             nn_grain(nn_min(plan->m, kernel()->block) * right->depth, 1 << 16));
    if (!packed)
        call->host->parallel_for(call, pack_right_task, &pack, right->matrices * panels,
                                 nn_grain(nn_min(right->n, kernel()->panel) * right->depth, 1 << 16));
    prepare_terms(&job);
    const double cost = (double)plan->m * (double)right->n * (double)right->depth / (double)job.pieces;
    call->host->parallel_for(call, run_task, &job, plan->batch.count * job.pieces,
                             nn_grain(cost > 1e9 ? (int64_t)1e9 : (int64_t)cost, 1 << 20));
}
