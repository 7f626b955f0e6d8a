#include "onnx/product.h"

/* Up to so many blocks of the left operand, packing the right one costs more than it gains. */
#define IN_PLACE_BLOCKS 8

/* A left operand of more bytes leaves the second-level cache before it is read if it is packed as a whole. So each
 * thread packs LATE_ROWS of it (whole blocks of any kernel) and multiplies them at once, if there are tiles enough for
 * any threads, and the right operand is not larger: every tile reads all of it. */
#define LATE_BYTES (1 << 20)
#define LATE_ROWS  84
#define LATE_TILES 16

/* What one core has just packed comes slowly to the others. So each thread packs the rows that it multiplies, or where
 * threads share the columns a copy of all rows, if these are of at most so many bytes; and a product of fewer
 * multiply-adds in all, on tiles three times as many, is one thread's. */
#define COPY_BYTES  (1 << 17)
#define SHARED_COST 6e5

/* Squares of a product on tiles that are best taken together. */
#define TILES_TOGETHER 8

static const tlk_gemm_kernel *kernel_of(tl_type type)
{
    return tlk_get()->gemm[nn_kernel_type(type)];
}

/* A B of fewer columns than a vector has lanes is better the kernel's left operand, and A the right one: then the
 * product is the transposed one. With the fewest it is lines, unless A's are not along the depth: these are read where
 * they are on the right. This must not depend on A's shape: no other rows change a row. */
static product_side side_of_b(const product_factor *b, tl_type type, bool a_transposed)
{
    return b->lines <= TLK_FEW && !a_transposed                               ? PRODUCT_LINES
           : b->lines < tlk_get()->vector_bytes / (type == TL_DOUBLE ? 8 : 4) ? PRODUCT_LEFT
                                                                              : PRODUCT_RIGHT;
}

void product_factor_side(product_factor *f, tl_type type, product_side side)
{
    const tlk_gemm_kernel *kernel = kernel_of(type);
    const int64_t depth = nn_max(f->depth, 1);
    f->side = side;
    f->each = 0;
    f->pieces = 0;
    if (f->lines < 1)
        return;
    f->pieces = side == PRODUCT_LINES  ? f->lines
                : side == PRODUCT_LEFT ? kernel->blocks(f->lines)
                                       : kernel->panels(f->lines);
    f->each = side == PRODUCT_RIGHT ? kernel->packed_b_size(f->lines, depth) : kernel->packed_a_size(f->lines, depth);
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

product_factor product_factor_b(const tl_tensor *b, bool transposed, bool a_transposed)
{
    const int32_t rank = b->rank;
    const int64_t rows = rank > 1 ? b->dims[rank - 2] : b->dims[0], columns = rank > 1 ? b->dims[rank - 1] : 1;
    product_factor f = {.lines = transposed ? rows : columns,
                        .depth = transposed ? columns : rows,
                        .line_step = transposed ? columns : 1,
                        .depth_step = transposed ? 1 : columns,
                        .matrices = rank > 2 ? op_product(b, 0, rank - 2) : 1};
    product_factor_side(&f, b->type, side_of_b(&f, b->type, a_transposed));
    return f;
}

static void copy_lines(const product_factor *f, size_t size, const char *from, int64_t begin, int64_t end, char *to)
{
    for (int64_t line = begin; line < end; line++)
        for (int64_t k = 0; k < f->depth; k++) {
            const char *element = from + (line * f->line_step + k * f->depth_step) * (int64_t)size;
            char *copy = to + (line * f->depth + k) * (int64_t)size;
            if (size == 4)
                memcpy(copy, element, 4);
            else
                memcpy(copy, element, 8);
        }
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
        if (f->side == PRODUCT_LINES)
            copy_lines(f, nn_type_size(type), from, first, last, to);
        else if (f->side == PRODUCT_LEFT)
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
    product_factor_side(&plan->a, type,
                        b.side == PRODUCT_LINES  ? PRODUCT_LINES
                        : b.side == PRODUCT_LEFT ? PRODUCT_RIGHT
                                                 : PRODUCT_LEFT);
    plan->batch = matrix_batch_one();
}

void product_batch(product_plan *plan, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out)
{
    if (matrix_batch_set(&plan->batch, a, b, out))
        return;
    plan->a.lines *= plan->a.matrices;
    plan->a.matrices = 1;
    product_factor_side(&plan->a, plan->type, plan->a.side);
}

bool product_is_empty(const product_plan *plan)
{
    return plan->batch.count == 0 || plan->a.lines == 0 || plan->b.lines == 0;
}

/* Whether A is packed tile by tile. A tile must not be wanted twice: neither by another matrix nor for other columns.
 */
static bool is_late(const product_plan *plan)
{
    const int64_t tiles = nn_ceil_div(plan->a.lines, LATE_ROWS);
    return plan->a.side == PRODUCT_LEFT && plan->a.matrices == plan->batch.count && plan->a.pieces >= plan->b.pieces &&
           plan->a.depth > 0 && tiles >= nn_ceil_div(LATE_TILES, plan->batch.count) && plan->a.each < SIZE_MAX &&
           plan->a.each > LATE_BYTES / (size_t)plan->batch.count && plan->b.each <= LATE_BYTES;
}

/* Whether pieces are blocks of A's rows. */
static bool is_by_rows(const product_plan *plan)
{
    return plan->a.side == PRODUCT_LEFT && plan->a.pieces >= plan->b.pieces;
}

/* Whether A is packed where it is multiplied: blocks of rows that no other matrix wants, or a copy for each thread. A
 * single row needs no packing. */
static bool is_packed_late(const tl_call *call, const product_plan *plan)
{
    return plan->a.side == PRODUCT_LEFT && plan->a.depth > 0 && plan->a.lines > 1 &&
           (is_by_rows(plan) ? plan->a.matrices == plan->batch.count
                             : call->thread_count > 1 && plan->a.each <= COPY_BYTES);
}

/* Whether the product is made on tiles, of operands where they lie. */
static const tlk_gemm_tiles *tiles_of(const product_plan *plan)
{
    const tlk_gemm_tiles *tiles = tlk_get()->gemm_tiles;
    const bool there = tiles != NULL && plan->type == TL_FLOAT && plan->b.side == PRODUCT_RIGHT;
    return there && tiles->pays(plan->a.lines, plan->b.lines, plan->b.depth) ? tiles : NULL;
}

static size_t tiles_bytes(const product_plan *plan, const tlk_gemm_tiles *tiles)
{
    return (tiles->workspace_size(plan->a.lines, plan->b.lines, plan->b.depth) + 63) & ~(size_t)63;
}

static size_t late_bytes(const product_plan *plan)
{
    return (kernel_of(plan->type)->packed_a_size(nn_min(LATE_ROWS, plan->a.lines), plan->a.depth) + 63) & ~(size_t)63;
}

void product_place(tl_call *call, product_plan *plan, bool b_packed)
{
    if (product_is_empty(plan))
        return;
    const tlk_gemm_tiles *tiles = tiles_of(plan);
    plan->a_packed = tiles           ? nn_place(call, call->thread_count, tiles_bytes(plan, tiles))
                     : is_late(plan) ? nn_place(call, call->thread_count, late_bytes(plan))
                     : is_packed_late(call, plan) && !is_by_rows(plan)
                         ? nn_place(call, call->thread_count, plan->a.each)
                         : nn_place(call, plan->a.matrices, plan->a.each);
    if (!b_packed)
        plan->b_packed = nn_place(call, plan->b.matrices, plan->b.each);
}

/* A and B share the kernel's sides: with B on the right A is on the left, else the kernel makes the transposed product.
 */
static bool is_swapped(const product_plan *plan)
{
    return plan->b.side != PRODUCT_RIGHT;
}

/* Whether the kernel can read an operand where it is. One on the right is read once for each block of the left one,
 * from memory that lies worse than packed. */
static bool is_in_place(const product_plan *plan, const product_factor *f, const product_factor *other)
{
    const bool real = plan->type == TL_FLOAT || plan->type == TL_DOUBLE;
    return f->depth > 0 && (f->side == PRODUCT_LINES ? f->depth_step == 1
                                                     : f->side == PRODUCT_RIGHT && real && f->line_step == 1 &&
                                                           other->pieces <= IN_PLACE_BLOCKS);
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

/* The columns of an operand in place that fill no panel. */
static void pack_rest(const product_factor *f, tl_type type, const char *data, char *packed)
{
    const tlk_gemm_kernel *kernel = kernel_of(type);
    const int64_t size = (int64_t)nn_type_size(type), rest = f->lines % kernel->panel_columns;
    for (int64_t i = 0; f->side == PRODUCT_RIGHT && rest > 0 && i < f->matrices; i++)
        kernel->pack_b(data + (i * f->lines * f->depth + f->lines - rest) * size, f->depth_step, f->line_step, rest,
                       f->depth, 0, 1, packed + (size_t)i * f->each);
}

/* Where the kernel finds a factor: packed, and the tensor's own elements where it reads those. */
typedef struct operand {
    const char *packed, *in_place;
} operand;

/* A product over a depth of 0 is one over a depth of 1 with zeros. */
static operand pack_factor(tl_call *call, const product_plan *plan, const product_factor *f,
                           const product_factor *other, const void *data, void *packed)
{
    pack_job job = {f, plan->type, data, packed};
    if (is_in_place(plan, f, other)) {
        pack_rest(f, plan->type, data, packed);
        return (operand){packed, data};
    }
    if (f->side == PRODUCT_LEFT && f->lines == 1 && f->matrices == 1 && f->depth_step == 1 && f->depth > 0 &&
        (plan->type == TL_FLOAT || plan->type == TL_DOUBLE))
        return (operand){data, NULL}; /* a row is as it would be packed */
    if (f->depth == 0)
        memset(packed, 0, (size_t)f->matrices * f->each);
    else
        call->host->parallel_for(call, pack_task, &job, f->matrices * f->pieces,
                                 nn_grain(nn_max(1, f->lines / f->pieces) * f->depth, 1 << 15));
    return (operand){packed, NULL};
}

typedef struct run_job {
    const product_plan *plan;
    const product_result *result;
    operand a, b;
    const tlk_gemm_tiles *tiles; /* or NULL; then a.packed is their workspace */
    bool by_left; /* pieces are blocks of the left operand, with all of the right one; or the other way round */
    int64_t pieces;
    const char *late; /* A, where pieces are tiles of its rows to be packed, each thread's in late_bytes of a.packed */
    const char *own;  /* A, where blocks of its rows are to be packed: in their place, or all in each thread's copy */
} run_job;

/* The steps for one matrix of the batch, from a row on. */
static tlk_steps bind_steps(const run_job *job, int64_t matrix, int64_t row, tlk_step *steps)
{
    const product_result *r = job->result;
    for (int s = 0; s < r->step_count; s++) {
        steps[s] = r->steps[s];
        if (!tlk_step_has_operand(&steps[s]))
            continue;
        steps[s].operand = (const char *)r->steps[s].operand + (matrix * r->matrix_steps[s] + row * steps[s].row_step) *
                                                                   (int64_t)nn_type_size(job->plan->type);
        if (is_swapped(job->plan)) {
            steps[s].row_step = r->steps[s].lane_step;
            steps[s].lane_step = r->steps[s].row_step;
        }
    }
    return (tlk_steps){steps, r->step_count};
}

/* One matrix of a factor. */
static operand operand_at(const product_plan *plan, const product_factor *f, operand all, int64_t matrix)
{
    operand one = {all.packed + (size_t)matrix * f->each, NULL};
    if (all.in_place)
        one.in_place = all.in_place + matrix * f->lines * f->depth * (int64_t)nn_type_size(plan->type);
    return one;
}

static tlk_gemm_lines lines_of(const product_factor *f, operand at)
{
    return at.in_place
               ? (tlk_gemm_lines){(const float *)at.in_place, f->line_step, f->depth_step, TLK_GEMM_SIDE * f->line_step}
               : (tlk_gemm_lines){(const float *)at.packed, 1, TLK_GEMM_SIDE, TLK_GEMM_SIDE * f->depth};
}

static void run_tiles(const run_job *job, const tlk_gemm *gemm, operand a, operand b, int64_t first, int64_t last,
                      int32_t thread)
{
    const product_plan *plan = job->plan;
    const tlk_gemm_lines rows = lines_of(&plan->a, a), columns = lines_of(&plan->b, b);
    char *workspace = (char *)job->a.packed + (size_t)thread * tiles_bytes(plan, job->tiles);
    job->tiles->run(gemm, &rows, &columns, job->by_left ? first : 0,
                    job->by_left ? last : nn_ceil_div(gemm->m, TLK_GEMM_SIDE), job->by_left ? 0 : first,
                    job->by_left ? nn_ceil_div(gemm->n, TLK_GEMM_SIDE) : last, workspace);
}

/* Rows from `row` on of one product, whose left operand is packed here. */
static void run_late(const run_job *job, const tlk_gemm *whole, int64_t matrix, int64_t a, int64_t row,
                     const char *packed_b, char *packed)
{
    const product_plan *plan = job->plan;
    const product_factor *f = &plan->a;
    const tlk_gemm_kernel *kernel = kernel_of(plan->type);
    const int64_t size = (int64_t)nn_type_size(plan->type), rows = nn_min(LATE_ROWS, f->lines - row);
    const int64_t blocks = kernel->blocks(rows);
    tlk_step steps[TLK_MAX_STEPS];
    tlk_gemm gemm = *whole;
    gemm.m = rows;
    gemm.c = (char *)gemm.c + row * gemm.c_row_step * size;
    if (gemm.add)
        gemm.add = (const char *)gemm.add + row * gemm.add_row_step * size;
    gemm.steps = bind_steps(job, matrix, row, steps);
    kernel->pack_a(job->late + (a * f->lines * f->depth + row * f->line_step) * size, f->line_step, f->depth_step, rows,
                   f->depth, 0, blocks, packed);
    kernel->run(&gemm, packed, packed_b, 0, blocks, 0, plan->b.pieces);
}

/* Packs one matrix of A, or a piece of it. */
static const char *pack_own(const run_job *job, int64_t a, int64_t first, int64_t last, int32_t thread)
{
    const product_factor *f = &job->plan->a;
    const char *data = job->own + a * f->lines * f->depth * (int64_t)nn_type_size(job->plan->type);
    char *packed = (char *)job->a.packed + (size_t)(job->by_left ? a : thread) * f->each;
    product_pack(f, job->plan->type, data, job->by_left ? first : 0, job->by_left ? last : f->pieces, packed);
    return packed;
}

static void run_pieces(const run_job *job, int64_t matrix, int64_t first, int64_t last, int32_t thread)
{
    const product_plan *plan = job->plan;
    const product_result *result = job->result;
    const bool swapped = is_swapped(plan);
    const int64_t m = plan->a.lines, n = plan->b.lines;
    int64_t a, b;
    matrix_batch_at(&plan->batch, matrix, &a, &b);
    const product_factor *left = swapped ? &plan->b : &plan->a, *right = swapped ? &plan->a : &plan->b;
    const operand at_a = operand_at(plan, &plan->a, job->a, job->late || job->own ? 0 : a),
                  at_b = operand_at(plan, &plan->b, job->b, b);
    const operand l = swapped ? at_b : at_a, r = swapped ? at_a : at_b;
    tlk_step steps[TLK_MAX_STEPS];
    const tlk_gemm gemm = {.m = swapped ? n : m,
                           .n = swapped ? m : n,
                           .depth = nn_max(plan->b.depth, 1),
                           .c = (char *)result->c + matrix * m * n * (int64_t)nn_type_size(plan->type),
                           .c_row_step = result->transposed ? (swapped ? m : 1) : (swapped ? 1 : n),
                           .c_column_step = result->transposed ? (swapped ? 1 : m) : (swapped ? n : 1),
                           .add = result->add,
                           .add_row_step = swapped ? result->add_column_step : result->add_row_step,
                           .add_column_step = swapped ? result->add_row_step : result->add_column_step,
                           .alpha = result->alpha,
                           .beta = result->beta,
                           .activation = {.kind = TLK_LINEAR},
                           .steps = bind_steps(job, matrix, 0, steps),
                           .b_in_place = r.in_place,
                           .b_row_step = right->depth_step};
    const tlk_gemm_kernel *kernel = kernel_of(plan->type);
    if (job->tiles)
        run_tiles(job, &gemm, at_a, at_b, first, last, thread);
    else if (job->late)
        for (int64_t i = first; i < last; i++)
            run_late(job, &gemm, matrix, a, i * LATE_ROWS, r.packed,
                     (char *)job->a.packed + (size_t)thread * late_bytes(plan));
    else if (plan->b.side == PRODUCT_LINES)
        kernel->run_few(&gemm, l.in_place ? l.in_place : l.packed, l.in_place ? left->line_step : gemm.depth,
                        r.in_place ? r.in_place : r.packed, r.in_place ? right->line_step : gemm.depth, first, last);
    else
        kernel->run(&gemm, job->own ? pack_own(job, a, first, last, thread) : l.packed, r.packed,
                    job->by_left ? first : 0, job->by_left ? last : left->pieces, job->by_left ? 0 : first,
                    job->by_left ? right->pieces : last);
}

static void run_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const run_job *job = context;
    while (begin < end) {
        const nn_run run = nn_take_run(&begin, end, job->pieces);
        run_pieces(job, run.sample, run.first, run.last, thread);
    }
}

void product_run(tl_call *call, const product_plan *plan, const void *a, const void *b, const void *b_packed,
                 const product_result *result)
{
    if (product_is_empty(plan))
        return;
    run_job job = {.plan = plan, .result = result, .b = {b_packed, NULL}, .tiles = tiles_of(plan)};
    const product_factor *left = is_swapped(plan) ? &plan->b : &plan->a;
    const product_factor *right = is_swapped(plan) ? &plan->a : &plan->b;
    job.by_left = plan->b.side != PRODUCT_LINES && left->pieces >= right->pieces;
    job.pieces = job.by_left ? left->pieces : right->pieces;
    char *const packed = nn_at(call, plan->a_packed);
    if (job.tiles) {
        job.by_left = left->lines >= right->lines;
        job.pieces = nn_ceil_div(nn_max(left->lines, right->lines), TLK_GEMM_SIDE);
        job.a = (operand){packed, a};
    } else if (is_late(plan)) {
        job.pieces = nn_ceil_div(plan->a.lines, LATE_ROWS);
        job.a.packed = packed;
        job.late = a;
    } else if (is_packed_late(call, plan)) {
        job.a.packed = packed;
        job.own = a;
    } else {
        job.a = pack_factor(call, plan, &plan->a, &plan->b, a, packed);
    }
    if (!b_packed) {
        char *const room = nn_at(call, plan->b_packed);
        job.b = job.tiles ? (operand){room, b} : pack_factor(call, plan, &plan->b, &plan->a, b, room);
    }
    const double cost = (double)left->lines * (double)right->lines * (double)plan->b.depth / (double)job.pieces;
    const int64_t all = plan->batch.count * job.pieces;
    const bool small = cost * (double)all < (job.tiles ? 3 : 1) * SHARED_COST;
    int64_t grain = small ? all : nn_even_grain(call->thread_count, all, cost);
    if (job.tiles) /* each call splits all of the other operand */
        grain = nn_max(grain, nn_min(nn_ceil_div(all, call->thread_count), TILES_TOGETHER));
    if (job.own && !job.by_left) /* each call packs all */
        grain = nn_max(grain, nn_ceil_div(all, call->thread_count));
    call->host->parallel_for(call, run_task, &job, all, grain);
}
