/* Where: elements of X where the condition holds, else of Y; all three broadcast. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

static tl_status reshape(tl_call *call)
{
    tl_status status = op_broadcast(call, call->inputs, 3, call->outputs[0]);
    if (!status && call->plan)
        op_map_init(call->plan, call->outputs[0], call->inputs, 3, 1);
    return status;
}

typedef struct job {
    const uint8_t *condition;
    const char *x, *y;
    char *out;
    const int32_t *step;
    int64_t size; /* of an element: they are only moved, so that it is all that matters */
    void (*select)(const uint8_t *condition, const void *x, const void *y, void *out, int64_t n);
} job;

__extension__ typedef unsigned __int128 uint128_t;

/* By masks, as no branch could foresee the conditions. */
#define SELECT(T)                                                                                   \
    static void select_##T(const uint8_t *c, const void *px, const void *py, void *pout, int64_t n) \
    {                                                                                               \
        const T *x = px, *y = py;                                                                   \
        T *out = pout;                                                                              \
        OP_INDEPENDENT for (int64_t i = 0; i < n; i++)                                              \
        {                                                                                           \
            const T mask = (T)(0 - (T)(c[i] != 0));                                                 \
            out[i] = (x[i] & mask) | (y[i] & (T)~mask);                                             \
        }                                                                                           \
    }
SELECT(uint8_t)
SELECT(uint16_t)
SELECT(uint32_t)
SELECT(uint64_t)
SELECT(uint128_t)

/* Block by block; what stands still is written out once. */
static void row(const void *context, const int64_t *in, int64_t at, int64_t n)
{
    const job *j = context;
    const uint8_t *c = j->condition + in[0];
    const char *x = j->x + in[1] * j->size, *y = j->y + in[2] * j->size;
    char *out = j->out + at * j->size;
    const int32_t xs = j->step[1], ys = j->step[2];
    if (j->step[0] == 0) {
        if (c[0] ? xs : ys)
            memmove(out, c[0] ? x : y, (size_t)(n * j->size));
        else
            op_fill(out, c[0] ? x : y, (size_t)j->size, n);
        return;
    }
    uint128_t one_x[OP_BLOCK], one_y[OP_BLOCK];
    const int64_t most = xs && ys ? n : n < OP_BLOCK ? n : OP_BLOCK;
    if (!xs)
        op_fill(one_x, x, (size_t)j->size, most);
    if (!ys)
        op_fill(one_y, y, (size_t)j->size, most);
    for (int64_t i = 0; i < n; i += most)
        j->select(c + i, xs ? (const void *)(x + i * j->size) : one_x, ys ? (const void *)(y + i * j->size) : one_y,
                  out + i * j->size, n - i < most ? n - i : most);
}

static tl_status run(tl_call *call)
{
    const op_map *map = call->plan;
    job j = {.condition = call->inputs[0]->data,
             .x = call->inputs[1]->data,
             .y = call->inputs[2]->data,
             .out = call->outputs[0]->data,
             .step = map->step,
             .size = (int64_t)op_type_size(call->outputs[0]->type),
             .select = select_uint128_t};
    switch (j.size) {
    case 1:
        j.select = select_uint8_t;
        break;
    case 2:
        j.select = select_uint16_t;
        break;
    case 4:
        j.select = select_uint32_t;
        break;
    case 8:
        j.select = select_uint64_t;
        break;
    default:
        break;
    }
    op_map_run(call, map, row, &j);
    return TL_OK;
}

static const tl_param ins[] = {OP_IN("condition", OP_T_BOOL, 0), OP_IN("X", OP_T_CLASSIC, 'T'),
                               OP_IN("Y", OP_T_CLASSIC, 'T')};
static const tl_param outs[] = {OP_IN("output", OP_T_CLASSIC, 'T')};

OP_DESCRIPTOR(Where, 9) = {OP_HEAD(Where, 9),
                           OP_PARAMS(input, ins),
                           OP_PARAMS(output, outs),
                           .flags = TL_OP_ELEMENTWISE,
                           .plan_size = sizeof(op_map),
                           .reshape = reshape,
                           .run = run};
