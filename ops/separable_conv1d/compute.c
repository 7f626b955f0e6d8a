/* Runs the kernel over batch and time in pieces, and what the kernel leaves: a softmax over the last axis. */
#include <math.h>
#include "separable_conv1d/compute.h"

enum {
    ALIGNMENT = 64,
    PIECES = 4,         /* pieces for each thread, so that a slow one does not hold up the rest for long */
    CONVERTED = 1 << 15 /* elements at a time */
};

tlk_type sepconv_type(tl_type type)
{
    switch (type) {
    case TL_DOUBLE:
        return TLK_F64;
    case TL_FLOAT16:
        return TLK_F16;
    case TL_BFLOAT16:
        return TLK_BF16;
    default:
        return TLK_F32;
    }
}

/* Half types are computed as float from beginning to end, and rounded once. */
static bool is_widened(const sepconv_engine *engine)
{
    return engine->type != engine->form.type;
}

static void add_part(sepconv_size *size, size_t count, size_t bytes)
{
    size_t part = 0;
    if (__builtin_mul_overflow(count, bytes, &part) || part > SIZE_MAX - ALIGNMENT ||
        __builtin_add_overflow(size->bytes, (part + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, &size->bytes))
        size->overflow = true;
}

void sepconv_engine_init(sepconv_engine *engine, const sepconv_params *params, const sepconv_shape *shape, tl_type type)
{
    engine->type = sepconv_type(type);
    engine->over = params->activation.over;
    engine->form = (tlk_sepconv){
        .type = engine->type == TLK_F64 ? TLK_F64 : TLK_F32,
        .layout = params->layout,
        .channels = shape->channels,
        .multiplier = params->depth_multiplier,
        .filters = shape->filters,
        .kernel_size = shape->kernel_size,
        .stride = params->strides,
        .dilation = params->dilation_rate,
        .activation = params->activation.element, /* linear for those over an axis */
    };
    engine->kernel = tlk_get()->sepconv[engine->form.type];
    engine->thread = (sepconv_size){0, false};
    add_part(&engine->thread, engine->kernel->workspace_size(&engine->form), 1);
}

/* Takes a part off the front of a buffer, as add_part() counted it. */
static void *take_part(char **buffer, size_t bytes)
{
    char *part = *buffer;
    *buffer += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return part;
}

/* Elements of the three weights; the products were checked with the shape. */
static void count_weights(const sepconv_engine *engine, int64_t counts[3])
{
    const int64_t rows = engine->form.channels * engine->form.multiplier;
    counts[0] = rows * engine->form.kernel_size;
    counts[1] = rows * engine->form.filters;
    counts[2] = engine->form.filters;
}

sepconv_size sepconv_packed_size(const sepconv_engine *engine)
{
    sepconv_size size = {0, false};
    add_part(&size, engine->kernel->packed_size(&engine->form), 1);
    return size;
}

sepconv_size sepconv_packing_size(const sepconv_engine *engine)
{
    sepconv_size size = {0, false};
    int64_t counts[3];
    count_weights(engine, counts);
    for (int i = 0; i < 3 && is_widened(engine); i++)
        add_part(&size, (size_t)counts[i], sizeof(float));
    return size;
}

typedef struct conversion {
    tlk_type type;
    uint16_t *half;
    float *real;
} conversion;

static void widen(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conversion *c = context;
    (void)thread;
    (c->type == TLK_F16 ? tlk_get()->f16_to_f32 : tlk_get()->bf16_to_f32)(c->half + begin, c->real + begin,
                                                                          end - begin);
}

static void narrow(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conversion *c = context;
    (void)thread;
    (c->type == TLK_F16 ? tlk_get()->f32_to_f16 : tlk_get()->f32_to_bf16)(c->real + begin, c->half + begin,
                                                                          end - begin);
}

void sepconv_pack(const sepconv_engine *engine, const sepconv_weights *weights, void *packed, void *packing)
{
    const void *from[3] = {weights->depthwise, weights->pointwise, weights->bias};
    int64_t counts[3];
    char *room = packing;
    count_weights(engine, counts);
    for (int i = 0; i < 3 && is_widened(engine); i++) {
        conversion c = {engine->type, (uint16_t *)from[i], take_part(&room, (size_t)counts[i] * sizeof(float))};
        if (from[i] == NULL)
            continue;
        widen(&c, 0, counts[i], 0);
        from[i] = c.real;
    }
    engine->kernel->pack(&engine->form, from[0], from[1], from[2], packed);
}

static int64_t count_x(const sepconv_shape *shape)
{
    return shape->batch * shape->length * shape->channels;
}

static int64_t count_y(const sepconv_shape *shape)
{
    return shape->batch * shape->output_length * shape->filters;
}

sepconv_size sepconv_workspace_size(const sepconv_engine *engine, const sepconv_shape *shape, int32_t threads,
                                    bool packed)
{
    sepconv_size size = {0, engine->thread.overflow};
    add_part(&size, (size_t)threads, engine->thread.bytes);
    if (!packed) {
        const sepconv_size weights = sepconv_packed_size(engine);
        const sepconv_size packing = sepconv_packing_size(engine);
        size.overflow |= weights.overflow || packing.overflow;
        add_part(&size, weights.bytes, 1);
        add_part(&size, packing.bytes, 1);
    }
    if (is_widened(engine)) {
        add_part(&size, (size_t)count_x(shape), sizeof(float));
        add_part(&size, (size_t)count_y(shape), sizeof(float));
    }
    return size;
}

/* A run with its buffers laid out. */
typedef struct sepconv_run {
    const sepconv_engine *engine;
    const sepconv_shape *shape;
    const void *packed;
    tlk_sepconv_data data;
    const int64_t *sample_step; /* of data.steps */
    char *threads;
    int64_t pieces; /* of one batch */
    int64_t row;    /* elements of the last axis */
} sepconv_run;

/* Where a piece begins: they are as equal as can be in whole vectors. */
static int64_t piece_begin(const sepconv_run *run, int64_t piece)
{
    enum { VECTOR = 16 };
    const int64_t steps = run->shape->output_length, vectors = (steps - 1) / VECTOR + 1;
    const int64_t begin = (vectors / run->pieces * piece + vectors % run->pieces * piece / run->pieces) * VECTOR;
    return begin < steps ? begin : steps;
}

static void convolve(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const sepconv_run *run = context;
    void *workspace = run->threads + (size_t)thread * run->engine->thread.bytes;
    const int64_t size = run->engine->form.type == TLK_F64 ? 8 : 4;
    for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / run->pieces, piece = i % run->pieces;
        tlk_step steps[TLK_MAX_STEPS];
        tlk_sepconv_data data = run->data;
        for (int s = 0; s < data.steps.count; s++) {
            steps[s] = run->data.steps.steps[s];
            if (tlk_step_has_operand(&steps[s]))
                steps[s].operand = (const char *)steps[s].operand + n * run->sample_step[s] * size;
        }
        data.steps.steps = steps;
        run->engine->kernel->run(&run->engine->form, run->packed, &data, n, piece_begin(run, piece),
                                 piece_begin(run, piece + 1), workspace);
    }
}

/* exp(x - top) / sum and x - top - log(sum): nothing overflows, and each element is rounded once. */
#define SOFTMAX(NAME, TYPE)                                                                        \
    static void NAME(TYPE *row, int64_t count, bool logarithm)                                     \
    {                                                                                              \
        double top = (double)row[0];                                                               \
        double sum = 0;                                                                            \
        for (int64_t i = 1; i < count; i++)                                                        \
            top = (double)row[i] > top ? (double)row[i] : top;                                     \
        for (int64_t i = 0; i < count; i++)                                                        \
            sum += exp((double)row[i] - top);                                                      \
        const double shift = top + log(sum);                                                       \
        for (int64_t i = 0; i < count; i++)                                                        \
            row[i] = (TYPE)(logarithm ? (double)row[i] - shift : exp((double)row[i] - top) / sum); \
    }
SOFTMAX(softmax_float, float)
SOFTMAX(softmax_double, double)

static void softmax_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const sepconv_run *run = context;
    const bool logarithm = run->engine->over == SEPCONV_LOG_SOFTMAX;
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        if (run->engine->form.type == TLK_F64)
            softmax_double((double *)run->data.y + i * run->row, run->row, logarithm);
        else
            softmax_float((float *)run->data.y + i * run->row, run->row, logarithm);
}

#define MIN(a, b)      ((a) < (b) ? (a) : (b))
#define PARTS(n, each) (((n)-1) / (each) + 1)

/* As few pieces as keep the threads busy, for each begins anew with the depthwise window; but none that wastes a tile.
 * Each thread has as many, or one has all. */
static void cut(sepconv_run *run, int32_t threads)
{
    const sepconv_engine *engine = run->engine;
    const int64_t steps = run->shape->output_length, each = PARTS((int64_t)threads, run->shape->batch);
    run->pieces = 1;
    if (threads > 1) {
        const int64_t good = PARTS(steps, engine->kernel->piece(&engine->form));
        run->pieces = MIN(PARTS((int64_t)threads * PIECES, run->shape->batch), good > each ? good : each);
        run->pieces = MIN(run->pieces, PARTS(steps, engine->kernel->tile(&engine->form)));
        if (run->pieces > each)
            run->pieces = PARTS(run->pieces, each) * each;
    }
}

void sepconv_compute(const sepconv_job *job, sepconv_parallel parallel, void *host)
{
    const sepconv_engine *engine = job->engine;
    const sepconv_shape *shape = job->shape;
    if (shape->batch == 0 || shape->output_length == 0)
        return;
    const int64_t rows =
        shape->batch * (engine->form.layout == TLK_CHANNELS_LAST ? shape->output_length : shape->filters);
    char *room = job->workspace;
    sepconv_run run = {
        .engine = engine,
        .shape = shape,
        .packed = job->packed,
        .data = {.x = job->x,
                 .length = shape->length,
                 .pad_left = shape->left,
                 .y = job->y,
                 .out_length = shape->output_length,
                 .steps = job->steps},
        .sample_step = job->sample_step,
        .row = count_y(shape) / rows,
    };
    run.threads = take_part(&room, (size_t)job->threads * engine->thread.bytes);
    if (run.packed == NULL) {
        void *packed = take_part(&room, sepconv_packed_size(engine).bytes);
        void *packing = take_part(&room, sepconv_packing_size(engine).bytes);
        sepconv_pack(engine, &job->weights, packed, packing);
        run.packed = packed;
    }
    if (is_widened(engine)) {
        conversion x = {engine->type, (uint16_t *)job->x, take_part(&room, (size_t)count_x(shape) * sizeof(float))};
        parallel(host, widen, &x, count_x(shape), CONVERTED);
        run.data.x = x.real;
        run.data.y = take_part(&room, (size_t)count_y(shape) * sizeof(float));
    }
    cut(&run, job->threads);
    parallel(host, convolve, &run, shape->batch * run.pieces, 1);
    if (engine->over != SEPCONV_ELEMENT)
        parallel(host, softmax_rows, &run, rows, rows / ((int64_t)job->threads * PIECES) + 1);
    if (is_widened(engine)) {
        conversion y = {engine->type, job->y, run.data.y};
        parallel(host, narrow, &y, count_y(shape), CONVERTED);
    }
}
